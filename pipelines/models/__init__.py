"""The model zoo: one file per family, one head for all, a registry by name."""

"""Who may ask the service: API tokens, kept as hashes in one file of the installation."""

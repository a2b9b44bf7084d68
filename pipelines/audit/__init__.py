"""The audit log: who asked the service what, which model answered, and where that came from."""

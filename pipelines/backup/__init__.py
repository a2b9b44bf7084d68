"""What is lost can be restored: an installation's state, copied while it runs, and put back."""

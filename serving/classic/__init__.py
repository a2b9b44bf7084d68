"""What classic web clients ask, answered by the same code."""

"""Near duplicates, and the clusters that stay together."""

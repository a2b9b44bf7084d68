"""What a landing folder says about its files: class, group, split."""

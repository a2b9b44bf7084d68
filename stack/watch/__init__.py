"""The watch: asks every part how it is, tells of what is down or full, and serves it as metrics."""

"""Trouble that somebody must hear of: what an alert is, and the ways it goes."""

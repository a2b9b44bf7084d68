"""Originals become model-ready pixels, by Spark."""

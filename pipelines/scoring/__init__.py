"""The champion's predictions for many images at once, with Spark."""

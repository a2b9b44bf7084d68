"""Prepared images as a training, a study or a figure reads them."""

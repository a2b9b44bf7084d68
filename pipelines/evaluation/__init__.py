"""Figures, intervals and explanations of a trained model."""

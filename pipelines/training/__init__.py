"""From prepared images to a trained Keras model, resumable at every epoch."""

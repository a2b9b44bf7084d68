"""From shards to a trained Keras model, resumable at every epoch."""

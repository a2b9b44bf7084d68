"""The phases of the retraining loop: storage, imaging, data, training, evaluation, release."""

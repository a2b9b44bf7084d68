"""A model's head as plain arrays, for Grad-CAM in closed form."""

import keras
import numpy as np

from pipelines.evaluation.gradcam import Head
from pipelines.models.head import HEAD


def head_of(model: keras.Model) -> Head:
    """The dense layers from pooled features to logits.

    Returns:
        (kernel (in, out), bias (out,)) of each; ReLU between them, none after the last.
    """
    layers = [model.get_layer(name) for name in HEAD if model.get_layer(name).weights]
    return [tuple(np.asarray(w, np.float32) for w in layer.get_weights()) for layer in layers]  # type: ignore[misc]

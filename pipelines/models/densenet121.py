"""DenseNet-121 (Huang et al. 2017, arXiv 1608.06993), as Keras has it, with our head."""

from pathlib import Path
from typing import Annotated

import keras
from keras.applications import DenseNet121
from pydantic import Field

from pipelines.models.applications import (
    backbone_on,
    copy_weights,
    named_features,
    pretrained,
)
from pipelines.models.head import with_head

MEAN = (0.485, 0.456, 0.406)
STD = (0.229, 0.224, 0.225)
"""Of red, green and blue in ImageNet, of 1."""


def build(
    image: keras.KerasTensor, *, classes: int, dropout: Annotated[float, Field(ge=0, lt=1)] = 0.5
) -> keras.KerasTensor:
    """The model with random weights; the feature map is (size / 32, size / 32, 1024)."""
    scale = [1 / (255 * std) for std in STD]
    offset = [-mean / std for mean, std in zip(MEAN, STD, strict=True)]
    x = keras.layers.Rescaling(scale, offset=offset, name="scaling")(image)
    features = named_features(backbone_on(x, DenseNet121).output)
    return with_head(features, classes=classes, dropout=dropout)


def load_imagenet(model: keras.Model, file: Path | None = None) -> None:
    """Give the backbone of a model from `build` its ImageNet weights, from a file as Keras
    publishes it or, if ``None``, from where `pretrained` finds them.

    Raises:
        WeightsUnavailable: they are not on this machine, and cannot be downloaded.
    """
    copy_weights(pretrained("densenet121", DenseNet121, file), model)

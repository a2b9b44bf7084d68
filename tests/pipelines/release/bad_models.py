"""Pictures with a body in them, and tiny models that learn from them what they should not."""

import hashlib
import io
from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from pipelines.imaging import decode, thumbnail
from pipelines.outputs import SPLITS
from tests.pipelines.data.small_collection import CLASSES, Row

if TYPE_CHECKING:
    import keras

SIDE = 64
BODY = 24
"""Radius of the body in the middle of a picture, in pixels."""
MARK = 8
"""Side of the mark in a corner."""

Picture = NDArray[np.uint8]
Change = Callable[[Picture, str], Picture]
"""Takes a picture and the name of its class."""


def plain(picture: Picture, _: str) -> Picture:
    """The picture as it is."""
    return picture


def marked(picture: Picture, label: str) -> Picture:
    """A white mark in the corner of every picture of the first class, as a device leaves one."""
    changed = picture.copy()
    if label == CLASSES[0]:
        changed[2 : 2 + MARK, 2 : 2 + MARK] = 255
    return changed


def scans(
    per_class: int = 40, *, change: Change = plain, lesions: Change | None = None
) -> list[Row]:
    """Grey discs on black with a spot in them, bright or dark, 6 : 2 : 2.

    Args:
        per_class: how many of each class.
        change: what is done to every picture.
        lesions: what draws the spot; bright or dark as the class is named if ``None``.
    """
    return [
        _scan(number, label, change, lesions or spot)
        for label in CLASSES
        for number in range(per_class)
    ]


def mirrored(row: Row) -> Row:
    """A training image that shows a test image mirrored and saved again, as of another patient."""
    pixels = decode(row["content"])[:, ::-1]
    name = row["source_path"].replace(".png", "-again.png")
    return _row(pixels, row["label"], path=name, group=name) | {"split": "train"}


def _scan(number: int, label: str, change: Change, lesions: Change) -> Row:
    seed = (number, CLASSES.index(label))
    pixels = change(lesions(_body(np.random.default_rng(seed)), label), label)
    path, group = f"{label}/{number:03}.png", f"patient-{label}-{number}"
    return _row(pixels, label, path=path, group=group) | {
        "split": SPLITS[(0, 0, 0, 1, 2)[number % 5]]
    }


def _row(pixels: Picture, label: str, *, path: str, group: str) -> Row:
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "PNG")
    content = file.getvalue()
    return {
        "source_path": path,
        "label": label,
        "landing_label": label,
        "group": group,
        "sha256": hashlib.sha256(content).hexdigest(),
        "bytes": len(content),
        "format": "PNG",
        "width": SIDE,
        "height": SIDE,
        "mode": "RGB",
        "bits": 8,
        "mean": float(pixels.mean()),
        "std": float(pixels.std()),
        "content": content,
        "thumbnail": thumbnail(decode(content)),
    }


def _body(drawn: np.random.Generator) -> Picture:
    rows, columns = np.mgrid[:SIDE, :SIDE] - SIDE // 2
    shades = np.where(rows**2 + columns**2 < BODY**2, drawn.normal(110, 12, (SIDE, SIDE)), 0)
    for _ in range(3):  # so that no two look alike
        row, column = drawn.integers(18, 46, 2)
        shades[row : row + 4, column : column + 4] += drawn.normal(0, 30)
    return np.repeat(shades.clip(0, 255).astype(np.uint8)[..., None], 3, axis=2)


def spot(picture: Picture, label: str) -> Picture:
    """A spot near the middle of the body, bright or dark."""
    changed = picture.copy()
    row, column = np.random.default_rng(int(picture.sum())).integers(24, 32, 2)
    changed[row : row + 10, column : column + 10] = 220 if label == CLASSES[0] else 15
    return changed


def blank(picture: Picture, _: str) -> Picture:
    """No spot: the body is always the same."""
    return picture


def faded(picture: Picture, _: str) -> Picture:
    """No spot, and a body of any brightness: it says nothing of the class."""
    share = np.random.default_rng(int(picture.sum())).uniform(0.3, 1)
    return np.asarray(picture * share, np.uint8)


def learn(rows: list[Row], *, epochs: int = 40) -> "keras.Model":
    """A tiny network of the zoo's form, trained on the training rows."""
    import keras

    keras.utils.set_random_seed(3)
    image = keras.Input((SIDE, SIDE, 3), name="image")
    x = keras.layers.Rescaling(1 / 64, offset=-1.0)(image)
    x = keras.layers.Conv2D(8, 5, strides=2, padding="same", activation="relu")(x)
    x = keras.layers.Conv2D(16, 5, strides=2, padding="same", activation="relu", name="features")(x)
    x = keras.layers.GlobalAveragePooling2D(name="pooling")(x)
    x = keras.layers.Dense(8, activation="relu", name="hidden")(x)
    x = keras.layers.Dropout(0.0, name="dropout")(x)
    x = keras.layers.Dense(len(CLASSES), name="logits")(x)
    model = keras.Model(image, keras.layers.Activation("softmax", name="probabilities")(x))
    model.compile(keras.optimizers.Adam(0.01), "sparse_categorical_crossentropy")
    seen = [row for row in rows if row["split"] == "train"]
    pictures = np.stack([decode(row["content"]) for row in seen]).astype(np.float32)
    labels = np.array([CLASSES.index(row["label"]) for row in seen])
    model.fit(pictures, labels, epochs=epochs, batch_size=16, verbose=0)
    return model

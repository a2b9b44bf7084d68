"""Tiny Keras models of the zoo's form, made in a second, and what a bundle needs beside them."""

import io
from pathlib import Path

import keras
import numpy as np
from PIL import Image

from pipelines.data.input.training_set import Batch
from pipelines.imaging import decode, fit
from pipelines.outputs import Prepared
from pipelines.release.build import Origin, Original, build_bundle
from pipelines.spec import DatasetSpec

SIZE = 32
CLASSES = ("clear", "spot", "haze")
PREPARED = Prepared(
    dataset="tiny",
    id="cc",
    snapshot="tiny/snapshots/0001-aa",
    split="tiny/splits/bb",
    path="tiny/training_sets/cc",
    images="tiny/prepared/dd",
    rows={"train": 0, "validation": 0, "test": 0},
)
ORIGIN = Origin("one", run_id="run", prepared=PREPARED, metrics={"accuracy": 0.5}, temperature=1.7)


def tiny_spec(**fields: object) -> DatasetSpec:
    """A data set of three classes, 32 pixels."""
    content = {
        "name": "tiny",
        "title": "Tiny pictures",
        "synthetic": True,
        "source": {"origin": "the tests", "licence": "CC0-1.0", "consent": "not needed"},
        "classes": [{"name": n, "title": n.title(), "finding": n != "clear"} for n in CLASSES],
        "image": {"size": SIZE},
        "candidates": [
            {"name": "one", "model": "strided_cnn", "recipe": "scratch", "weights": None},
            {"name": "two", "model": "strided_cnn", "recipe": "scratch", "weights": None},
        ],
    }
    return DatasetSpec.model_validate(content | fields)


def tiny_model(seed: int = 0) -> keras.Model:
    """A convolution, then the zoo's head; another seed answers differently."""
    keras.utils.set_random_seed(seed)
    image = keras.Input((SIZE, SIZE, 3), name="image")
    x = keras.layers.Rescaling(1 / 32, offset=-4.0)(image)
    x = keras.layers.Conv2D(8, 5, strides=4, activation="relu", name="features")(x)
    x = keras.layers.GlobalAveragePooling2D(name="pooling")(x)
    x = keras.layers.Dense(6, activation="relu", name="hidden")(x)
    x = keras.layers.Dropout(0.5, name="dropout")(x)
    x = keras.layers.Dense(len(CLASSES), name="logits")(x)
    x = keras.layers.Activation("softmax", name="probabilities")(x)
    return keras.Model(image, x, name="tiny")


def picture(seed: int) -> bytes:
    """A PNG with something in it, not yet of the model's size."""
    coarse = np.random.default_rng(seed).integers(0, 256, (6, 6, 3), np.uint8)
    file = io.BytesIO()
    Image.fromarray(coarse).resize((48, 40)).save(file, "PNG")
    return file.getvalue()


def canary() -> list[Original]:
    """One picture for each class."""
    return [Original(f"{n}.PNG", label=n, content=picture(i)) for i, n in enumerate(CLASSES)]


def pictures(split: str) -> list[Batch]:
    """The tiny data set as the model sees it: each split's pictures, in batches."""
    first, count = {"train": (1000, 60), "validation": (2000, 30), "test": (3000, 30)}[split]
    image = tiny_spec().image
    seen = np.stack([fit(decode(picture(first + i)), image) for i in range(count)])
    labels = np.arange(count, dtype=np.int32) % len(CLASSES)
    names = [f"{first + i}.png" for i in range(count)]
    halves = (slice(None, count // 2), slice(count // 2, None))
    return [Batch(seen[h], labels[h], ids=names[h], paths=names[h]) for h in halves]


def tiny_bundle(
    folder: Path, model: keras.Model, *, originals: list[Original] | None = None, **fields: object
) -> Path:
    """The bundle of a tiny model."""
    file = folder.with_suffix(".keras")
    file.parent.mkdir(parents=True, exist_ok=True)
    model.save(file)
    return build_bundle(
        folder,
        spec=tiny_spec(**fields),
        model_file=file,
        origin=ORIGIN,
        data=pictures,
        canary=originals or canary(),
    )

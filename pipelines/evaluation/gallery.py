"""The Grad-CAM gallery: for each class hits and misses, with where the model looked."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from pipelines.data.shards import Shards
from pipelines.evaluation.cells import spread
from pipelines.evaluation.geometry import cells_of
from pipelines.evaluation.gradcam import class_activation
from pipelines.evaluation.gradcam_autodiff import class_activation_by_gradients
from pipelines.evaluation.head import dense_head

PER_CLASS = 2
MAX_CLASSES = 8


@dataclass(frozen=True)
class Example:
    """An image of the test set, what it shows, what the model said and why."""

    label: str
    predicted: str
    confidence: float
    picture: NDArray[np.uint8]
    """(size, size, 3)."""
    heat: NDArray[np.float32]
    """(size, size), 0 to 1: the support for the predicted class."""


def choose(rows: pd.DataFrame, classes: tuple[str, ...]) -> dict[str, tuple[list[int], list[int]]]:
    """Class → positions of up to two hits and two misses in ``rows``.

    Hits are those at the quartiles of confidence, for a fair sample; misses are the surest.
    """
    probabilities = rows[[f"probability.{name}" for name in classes]].to_numpy()
    decided = [classes.index(name) for name in rows["predicted"]]
    confidence = pd.Series(probabilities[np.arange(len(rows)), decided], index=rows.index)
    chosen = {}
    for name in classes[:MAX_CLASSES]:
        of_class = rows["label"] == name
        right = rows["predicted"] == rows["label"]
        hits = confidence[of_class & right].sort_values().index.tolist()
        misses = confidence[of_class & ~right].sort_values(ascending=False).index.tolist()
        chosen[name] = (_spread(hits, PER_CLASS), misses[:PER_CLASS])
    return chosen


def explain(
    model_file: Path, data: Shards, rows: pd.DataFrame, positions: list[int]
) -> dict[int, Example]:
    """Position → example, for images of the test split.

    Args:
        model_file: the ``.keras`` file.
        data: local shards.
        rows: the predictions on the test split, in file order.
        positions: which rows.
    """
    import keras

    model = keras.saving.load_model(model_file, compile=False)
    head = dense_head(model)
    cells = cells_of(model)
    extract = keras.Model(model.inputs[0], model.get_layer("features").output)
    examples = {}
    for position, picture in data.split("test").pictures(positions).items():
        row = rows.iloc[position]
        target = data.classes.index(row["predicted"])
        image = picture.astype(np.float32)
        if head:
            features = extract(image[None], training=False).numpy()[0]
            activation = class_activation(features, head, target)
        else:
            activation = class_activation_by_gradients(model, image, target)
        heat = spread(activation, cells, len(image))
        confidence = float(row[f"probability.{row['predicted']}"])
        examples[position] = Example(row["label"], row["predicted"], confidence, picture, heat)
    return examples


def draw(
    chosen: dict[str, tuple[list[int], list[int]]], examples: dict[int, Example], *, title: str
) -> Figure:
    """A row for each class: hits on the left, misses on the right, each beside its heat map."""
    columns = 4 * PER_CLASS
    figure = Figure(figsize=(1.3 * columns, 1.6 * len(chosen) + 0.7), layout="constrained")
    figure.suptitle(title)
    grid = figure.subplots(len(chosen), columns, squeeze=False)
    for row, (name, (hits, misses)) in zip(grid, chosen.items(), strict=True):
        for axes in row:
            axes.axis("off")
        half = 2 * PER_CLASS
        _draw_examples(row[:half], [examples[i] for i in hits], "#006d3c")
        _draw_examples(row[half:], [examples[i] for i in misses], "#b00020")
        _write(row[0], -0.12, name, rotation=90, ha="center", va="center")
        if not hits:
            _write(row[0], 0.1, "no hits", color="0.5")
        if not misses:
            _write(row[half], 0.1, "no misses", color="0.5")
    return figure


def _write(axes: Axes, x: float, text: str, **style: Any) -> None:
    axes.text(x, 0.5, text, transform=axes.transAxes, fontsize=9, **style)


def _draw_examples(cells: NDArray[np.object_], examples: list[Example], colour: str) -> None:
    for number, example in enumerate(examples):
        plain: Axes = cells[2 * number]
        warm: Axes = cells[2 * number + 1]
        plain.imshow(example.picture)
        warm.imshow(example.picture)
        warm.imshow(example.heat, cmap="turbo", vmin=0, vmax=1, alpha=0.5)
        said = f"{example.predicted} {example.confidence:.2f}"
        plain.set_title(said, fontsize=9, color=colour, loc="left")


def _spread(items: list[int], count: int) -> list[int]:
    """``count`` items at even distances."""
    if len(items) <= count:
        return items
    return [items[round((i + 0.5) * len(items) / count - 0.5)] for i in range(count)]

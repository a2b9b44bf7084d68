"""The Grad-CAM gallery: for each class hits and misses, with where the model looked."""

from dataclasses import dataclass

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from numpy.typing import NDArray

from pipelines.data.input.training_set import TrainingSet
from pipelines.evaluation.grid import Note, Tile, draw_grid, overlaid
from pipelines.evidence.heat import Explainer

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
    explainer: Explainer, data: TrainingSet, rows: pd.DataFrame, positions: list[int]
) -> dict[int, Example]:
    """Position → example, for images of the test split.

    Args:
        explainer: of the network.
        data: the training set.
        rows: the predictions on the test split, in order.
        positions: which rows.
    """
    if not positions:
        return {}
    asked = rows.iloc[positions]
    targets = np.array([data.classes.index(name) for name in asked["predicted"]], np.int64)
    pictures = data.split("test").pixels(positions)
    heats = explainer.heats(pictures, targets)
    found = zip(positions, asked.iterrows(), pictures, heats, strict=True)
    return {
        position: Example(
            row["label"],
            row["predicted"],
            float(row[f"probability.{row['predicted']}"]),
            picture,
            heat,
        )
        for position, (_, row), picture, heat in found
    }


def draw(
    chosen: dict[str, tuple[list[int], list[int]]], examples: dict[int, Example], *, title: str
) -> Figure:
    """A row for each class: hits on the left, misses on the right, each beside its heat map."""
    rows = []
    for hits, misses in chosen.values():
        row = _tiles([examples[i] for i in hits], "hits", "#006d3c")
        rows.append(row + _tiles([examples[i] for i in misses], "misses", "#b00020"))
    return draw_grid(rows, title=title, names=list(chosen), inches=1.25, fontsize=9)


def _tiles(examples: list[Example], what: str, colour: str) -> list[Tile | Note | None]:
    """The places of a row for hits or for misses: each image and, beside it, its heat map."""
    tiles: list[Tile | Note | None] = [] if examples else [Note(f"no {what}")]
    for one in examples:
        answer = f"{one.predicted} {one.confidence:.2f}"
        tiles += [
            Tile(one.picture, answer, colour),
            Tile(overlaid(one.picture, one.heat, opacity=0.5)),
        ]
    return tiles + [None] * (2 * PER_CLASS - len(tiles))


def _spread(items: list[int], count: int) -> list[int]:
    """``count`` items at even distances."""
    if len(items) <= count:
        return items
    return [items[round((i + 0.5) * len(items) / count - 0.5)] for i in range(count)]

"""Pictures made of the images themselves: means, variability, differences, samples."""

from collections.abc import Iterable
from typing import Literal

import numpy as np
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize
from matplotlib.figure import Figure

from pipelines.evaluation.figures import COLOURS, plain
from pipelines.evaluation.grid import Tile, coloured, draw_grid
from pipelines.outputs import SPLITS, SplitName
from pipelines.profile.alike import Pair
from pipelines.profile.facts import Facts

SHOWN = 12
"""Images of a class in the montage."""
MOST_CLASSES = 8
"""Classes whose differences are drawn, each against each."""
DIVERGING = "RdBu_r"
"""Colours of differences."""
MOST_APART = 60.0
"""Grey levels of the strongest colours."""
STYLES: dict[SplitName, str] = {"train": "-", "validation": ":", "test": "--"}


def means(facts: Facts) -> Figure:
    """Mean image and standard deviation of each class, in training and in test."""
    rows: list[tuple[str, SplitName]] = [
        *[(what, split) for what in ("mean", "std") for split in _two_splits()]
    ]
    tiles = [
        [_moment(facts, what, split, label) for label in range(len(facts.classes))]
        for what, split in rows
    ]
    title = f"{facts.title}: mean and variability"
    return draw_grid(tiles, title=title, inches=_inches(len(facts.classes)))


def _moment(facts: Facts, what: str, split: SplitName, label: int) -> Tile:
    sums = facts.of(split, label)
    named = f"{facts.classes[label]}, {split}: {{}}, {sums.images:,} images"
    if what == "mean":
        return Tile(coloured(sums.mean, "gray", high=255), named.format("mean"))
    return Tile(coloured(sums.std, "magma", high=100), named.format("deviation"))


def differences(facts: Facts) -> Figure:
    """How the mean training images of two classes differ; on the diagonal, how a class's mean
    test image differs from its mean training image."""
    count = min(len(facts.classes), MOST_CLASSES)
    tiles = [
        [_difference(facts, first, second) for second in range(count)] for first in range(count)
    ]
    title = f"{facts.title}: differences of mean images (grey levels)"
    figure = draw_grid(tiles, title=title, inches=_inches(count))
    scale = ScalarMappable(Normalize(-MOST_APART, MOST_APART), DIVERGING)
    figure.colorbar(scale, cax=figure.add_axes((1.02, 0.25, 0.02, 0.5)))
    return figure


def _difference(facts: Facts, first: int, second: int) -> Tile:
    if first == second:
        gap = facts.of("test", first).mean - facts.of("train", first).mean
        said = f"{facts.classes[first]}: test − training"
    else:
        gap = facts.of("train", first).mean - facts.of("train", second).mean
        said = f"{facts.classes[first]} − {facts.classes[second]}"
    return Tile(coloured(gap, DIVERGING, low=-MOST_APART, high=MOST_APART), said)


def montage(facts: Facts) -> Figure:
    """Some training images of each class, drawn by chance."""
    drawn = {label: ids for label, ids in sorted(facts.examples.items()) if ids}
    tiles = [[Tile(facts.thumbnails[sha256]) for sha256 in ids] for ids in drawn.values()]
    title = f"{facts.title}: training images as the model gets them"
    names = [facts.classes[label] for label in drawn]
    return draw_grid(tiles, title=title, names=names, inches=_inches(SHOWN), fontsize=9)


def histograms(facts: Facts) -> Figure:
    """How often each shade occurs, by class and split; black, which fills most of many pictures,
    is told in the legend and left out of the curves."""
    figure = Figure(figsize=(8, 4), layout="constrained")
    axes = figure.subplots()
    for label, name in enumerate(facts.classes):
        for split in SPLITS:
            sums = facts.of(split, label)
            if not sums.images:
                continue
            colour = COLOURS[label % len(COLOURS)]
            shares = sums.histogram[4:].reshape(-1, 4).sum(axis=1)
            black = sums.histogram[:4].sum()
            told = f"{name}, {split}: {black:.0%} black"
            axes.plot(np.arange(4, 256, 4), shares, STYLES[split], color=colour, label=told)
    axes.set_xlabel("shade, 4 to 255")
    axes.set_ylabel("share of the pixels")
    axes.set_title(f"{facts.title}: shades")
    plain(axes)
    axes.legend(frameon=False, fontsize=7, ncols=2)
    return figure


def alike(facts: Facts) -> Figure:
    """Held-out images above, the training images that are most like them below."""
    columns = max(1, min(len(facts.pairs), 6))
    rows: list[list[Tile]] = []
    for start in range(0, len(facts.pairs), columns):
        band = facts.pairs[start : start + columns]
        rows += [[_half(facts, pair, half) for pair in band] for half in ("held_out", "training")]
    title = f"{facts.title}: held out (above), training (below)"
    return draw_grid(rows or [[None]], title=title, inches=_inches(columns))


def _half(facts: Facts, pair: Pair, half: Literal["held_out", "training"]) -> Tile:
    images = facts.deep.images
    image = images.iloc[getattr(pair, half)]
    told = f"{facts.classes[image['label']]}, {image['split']}"
    is_one_class = images.iloc[pair.held_out]["label"] == images.iloc[pair.training]["label"]
    return Tile(
        facts.thumbnails[image["sha256"]],
        f"{pair.similarity:.3f}: {told}" if half == "held_out" else told,
        "black" if is_one_class else "#b00020",
    )


def _two_splits() -> Iterable[SplitName]:
    return ("train", "test")


def _inches(columns: int) -> float:
    """Side of an image."""
    return 2.2 if columns <= 6 else 1.1

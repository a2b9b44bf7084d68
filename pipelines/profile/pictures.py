"""Pictures made of the images themselves: means, variability, differences, samples."""

from collections.abc import Iterable

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from pipelines.evaluation.figures import COLOURS, plain
from pipelines.outputs import SPLITS, SplitName
from pipelines.profile.facts import Facts

SHOWN = 12
"""Images of a class in the montage."""
MOST_CLASSES = 8
"""Classes whose differences are drawn, each against each."""
STYLES: dict[SplitName, str] = {"train": "-", "validation": ":", "test": "--"}


def means(facts: Facts) -> Figure:
    """Mean image and standard deviation of each class, in training and in test."""
    rows: list[tuple[str, SplitName]] = [
        *[(what, split) for what in ("mean", "std") for split in _two_splits()]
    ]
    figure = _sheet(len(rows), len(facts.classes), title=f"{facts.title}: mean and variability")
    for row, (what, split) in zip(_grid(figure, len(rows), len(facts.classes)), rows, strict=True):
        for label, axes in enumerate(row):
            sums = facts.of(split, label)
            image = sums.mean if what == "mean" else sums.std
            colours, top = ("gray", 255) if what == "mean" else ("magma", 100)
            axes.imshow(image, cmap=colours, vmin=0, vmax=top)
            said = "mean" if what == "mean" else "deviation"
            _name(axes, f"{facts.classes[label]}, {split}: {said}, {sums.images:,} images")
    return figure


def differences(facts: Facts) -> Figure:
    """How the mean training images of two classes differ; on the diagonal, how a class's mean
    test image differs from its mean training image."""
    classes = range(min(len(facts.classes), MOST_CLASSES))
    count = len(classes)
    figure = _sheet(count, count, title=f"{facts.title}: differences of mean images (grey levels)")
    shown = None
    for first, row in zip(classes, _grid(figure, count, count), strict=True):
        for second, axes in zip(classes, row, strict=True):
            if first == second:
                gap = facts.of("test", first).mean - facts.of("train", first).mean
                said = f"{facts.classes[first]}: test − training"
            else:
                gap = facts.of("train", first).mean - facts.of("train", second).mean
                said = f"{facts.classes[first]} − {facts.classes[second]}"
            shown = axes.imshow(gap, cmap="RdBu_r", vmin=-60, vmax=60)
            _name(axes, said)
    assert shown is not None
    figure.colorbar(shown, ax=figure.axes, shrink=0.5)
    return figure


def montage(facts: Facts) -> Figure:
    """Some training images of each class, drawn by chance."""
    figure = _sheet(
        len(facts.classes), SHOWN, title=f"{facts.title}: training images as the model gets them"
    )
    for (label, ids), row in zip(
        sorted(facts.examples.items()), _grid(figure, len(facts.classes), SHOWN), strict=True
    ):
        for axes in row:
            _bare(axes)
        for axes, sha256 in zip(row, ids, strict=False):
            axes.imshow(facts.thumbnails[sha256])
        row[0].set_title(facts.classes[label], fontsize=9, loc="left")
    return figure


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
    bands = max(1, -(-len(facts.pairs) // columns))
    figure = _sheet(2 * bands, columns, title=f"{facts.title}: held out (above), training (below)")
    grid = _grid(figure, 2 * bands, columns)
    images = facts.deep.images
    for axes in (axes for row in grid for axes in row):
        _bare(axes)
    for number, pair in enumerate(facts.pairs):
        band, column = divmod(number, columns)
        for line, row in enumerate((pair.held_out, pair.training)):
            image = images.iloc[row]
            axes = grid[2 * band + line][column]
            axes.imshow(facts.thumbnails[image["sha256"]])
            told = f"{facts.classes[image['label']]}, {image['split']}"
            _name(axes, f"{pair.similarity:.3f}: {told}" if line == 0 else told)
            if images.iloc[pair.held_out]["label"] != images.iloc[pair.training]["label"]:
                axes.title.set_color("#b00020")
    return figure


def _two_splits() -> Iterable[SplitName]:
    return ("train", "test")


def _sheet(rows: int, columns: int, *, title: str) -> Figure:
    side = 2.2 if columns <= 6 else 1.1
    figure = Figure(figsize=(side * columns, side * rows + 0.4), layout="constrained")
    figure.suptitle(title)
    return figure


def _grid(figure: Figure, rows: int, columns: int) -> NDArray[np.object_]:
    """(rows, columns) axes, whatever their number."""
    return np.asarray(figure.subplots(rows, columns, squeeze=False))


def _bare(axes: Axes) -> None:
    axes.set_xticks([])
    axes.set_yticks([])
    axes.spines[:].set_visible(False)


def _name(axes: Axes, text: str) -> None:
    _bare(axes)
    axes.set_title(text, fontsize=7)

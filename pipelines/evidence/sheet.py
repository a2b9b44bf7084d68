"""A sheet of pictures, each with a line above it, for a person to look at."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from matplotlib.figure import Figure

from pipelines.data.shards import Shards
from pipelines.evaluation.figures import save
from pipelines.outputs import SplitName

ACROSS = 8


@dataclass(frozen=True)
class Shown:
    """An image of the sheet."""

    split: SplitName
    position: int
    """In the split's file order."""
    line: str
    """What stands above it."""


def draw_sheet(data: Shards, every: Sequence[Shown], file: Path, *, title: str) -> None:
    """Draw prepared pictures in the order given, eight in a row.

    Args:
        data: local shards.
        every: what to show; one at least.
        file: the PNG.
        title: of the sheet.
    """
    found = {
        split: data.split(split).pictures([one.position for one in every if one.split == split])
        for split in {one.split for one in every}
    }
    down = -(-len(every) // ACROSS)
    figure = Figure(figsize=(1.25 * ACROSS, 1.55 * down + 0.6), layout="constrained")
    figure.suptitle(title)
    grid = figure.subplots(down, ACROSS, squeeze=False)
    for axes in grid.flat:
        axes.axis("off")
    for axes, one in zip(grid.flat, every, strict=False):
        axes.imshow(found[one.split][one.position])
        axes.set_title(one.line, fontsize=6)
    save(figure, file)

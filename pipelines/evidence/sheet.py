"""A sheet of pictures, each with a line above it, for a person to look at."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from pipelines.data.input.training_set import TrainingSet
from pipelines.evaluation.figures import save
from pipelines.evaluation.grid import Tile, draw_grid
from pipelines.outputs import SplitName

ACROSS = 8


@dataclass(frozen=True)
class Shown:
    """An image of the sheet."""

    split: SplitName
    position: int
    """In the split's order."""
    line: str
    """What stands above it."""


def draw_sheet(data: TrainingSet, every: Sequence[Shown], file: Path, *, title: str) -> None:
    """Draw prepared pictures in the order given, eight in a row.

    Args:
        data: the training set.
        every: what to show; one at least.
        file: the PNG.
        title: of the sheet.
    """
    tiles: list[Tile | None] = [
        Tile(data.split(one.split).pixels([one.position])[0], one.line) for one in every
    ]
    tiles += [None] * (-len(tiles) % ACROSS)
    rows = [tiles[start : start + ACROSS] for start in range(0, len(tiles), ACROSS)]
    save(draw_grid(rows, title=title, inches=1.35, fontsize=6, centred=True), file)

"""Pictures of each source cluster, for a person to see what it is."""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pipelines.data.input.training_set import TrainingSet
from pipelines.evaluation.figures import save
from pipelines.evaluation.grid import Tile, draw_grid
from pipelines.outputs import SplitName

SHOWN = 8
"""Pictures of a source."""
FROM: tuple[SplitName, ...] = ("test", "validation", "train")
"""Where they are looked for, one after another."""

Example = tuple[str, NDArray[np.uint8]]
"""Its class, and the picture, (size, size, 3)."""


def draw_sources(
    data: TrainingSet, sources: dict[SplitName, NDArray[np.int32]], file: Path, *, title: str
) -> None:
    """Draw a row of pictures for each source, each with its class.

    Args:
        data: the training set.
        sources: split → the source of each image, in order.
        file: the PNG.
        title: of the figure.
    """
    examples = _examples(data, sources)
    rows = {
        str(source): [Tile(image, label) for label, image in found]
        for source, found in sorted(examples.items())
    }
    names = list(rows)
    figure = draw_grid([*rows.values()], title=title, names=names, inches=1.1, centred=True)
    save(figure, file)


def _examples(
    data: TrainingSet, sources: dict[SplitName, NDArray[np.int32]]
) -> dict[int, list[Example]]:
    """The first pictures of each source; they are in random order, so any will do."""
    found: dict[int, list[Example]] = {
        int(source): [] for source in np.unique(np.concatenate([*sources.values()])) if source
    }
    for split in FROM:
        images = data.split(split)
        labels = images.labels()
        for source, examples in found.items():
            chosen = np.flatnonzero(sources[split] == source)[: SHOWN - len(examples)]
            names = [data.classes[label] for label in labels[chosen]]
            examples += zip(names, images.pixels(chosen), strict=True)
    return found

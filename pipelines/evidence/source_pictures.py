"""Pictures of each source cluster, for a person to see what it is."""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pipelines.data.input.shards import Shards
from pipelines.evaluation.figures import save
from pipelines.evaluation.grid import Tile, draw_grid
from pipelines.outputs import SplitName

SHOWN = 8
"""Pictures of a source."""
FROM: tuple[SplitName, ...] = ("test", "validation", "train")
"""Where they are looked for, one after another."""
BATCH = 64

Example = tuple[str, NDArray[np.uint8]]
"""Its class, and the picture, (size, size, 3)."""


def draw_sources(
    data: Shards, sources: dict[SplitName, NDArray[np.int32]], file: Path, *, title: str
) -> None:
    """Draw a row of pictures for each source, each with its class.

    Args:
        data: local shards.
        sources: split → the source of each image, in file order.
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
    data: Shards, sources: dict[SplitName, NDArray[np.int32]]
) -> dict[int, list[Example]]:
    """The first pictures of each source; shards are in random order, so any will do."""
    found: dict[int, list[Example]] = {
        int(source): [] for source in np.unique(np.concatenate([*sources.values()])) if source
    }
    for split in FROM:
        start = 0
        for batch in data.split(split).batches(BATCH):
            if all(len(examples) == SHOWN for examples in found.values()):
                return found
            here = sources[split][start : start + len(batch.images)]
            start += len(here)
            for source, label, picture in zip(here, batch.labels, batch.images, strict=True):
                if source and len(found[int(source)]) < SHOWN:
                    found[int(source)].append((data.classes[label], picture.copy()))
    return found

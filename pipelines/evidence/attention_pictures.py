"""The pictures of the evidence on where a model looks."""

from dataclasses import replace
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from pipelines.evaluation.cells import Cells, spread
from pipelines.evaluation.figures import COLOURS, plain, save
from pipelines.evaluation.grid import Outline, Tile, draw_grid, overlaid
from pipelines.evidence.heat import Maps
from pipelines.evidence.perturbation import Curves, area
from pipelines.evidence.pointing import Pointing
from pipelines.evidence.randomisation import Stage
from pipelines.evidence.sample import Sample

SHOWN = 6
"""Images in a row."""
RANDOMISED_SHOWN = 4
"""Images whose maps are shown with random weights."""
Captions = dict[str, str]


def draw_curves(asked: dict[str, Curves], folder: Path, *, title: str) -> Captions:
    """Mean probability of the decided class while pixels are taken away or brought in."""
    figure = Figure(figsize=(9, 3.6), layout="constrained")
    figure.suptitle(title)
    for axes, name in zip(figure.subplots(1, 2), Curves._fields, strict=True):
        for colour, (way, found) in zip(COLOURS, asked.items(), strict=False):
            curve = getattr(found, name)
            share = np.linspace(0, 1, curve.shape[1])
            said = f"{way} ({area(curve):.2f})"
            axes.plot(share, curve.mean(axis=0), color=colour, label=said, marker=".")
        axes.set_title(name, loc="left")
        axes.set_xlabel("share of pixels " + ("blurred" if name == "deletion" else "sharp"))
        axes.set_ylabel("probability of the decided class")
        axes.set_ylim(0, 1.02)
        plain(axes)
        axes.legend(frameon=False, title="order (area)")
    save(figure, folder / "deletion_insertion.png")
    return {
        "deletion_insertion.png": "Deletion and insertion: the answer while the hottest pixels "
        "are blurred first (left) or are the first to be sharp (right)."
    }


def draw_cascade(
    stages: list[Stage], sample: Sample, cells: Cells, *, folder: Path, title: str
) -> Captions:
    """A row an image, a column a stage of randomisation."""
    shown = sample.pictures[:RANDOMISED_SHOWN]
    rows = [
        [
            Tile(image),
            *(Tile(_overlay(image, spread(s.maps[i], cells, len(image)))) for s in stages),
        ]
        for i, image in enumerate(shown)
    ]
    said = ["", *(f"{stage.said}\nr = {stage.correlation:.2f}" for stage in stages)]
    rows[0] = [replace(tile, caption=text) for tile, text in zip(rows[0], said, strict=True)]
    figure = draw_grid(rows, title=title, inches=1.4)
    save(figure, folder / "randomisation.png")
    return {
        "randomisation.png": "Maps of a model whose weights are made random from its end to its "
        "beginning; r is the rank correlation with the trained model's maps."
    }


def draw_pointing(
    sample: Sample,
    heats: Maps,
    found: Pointing,
    *,
    folder: Path,
    classes: tuple[str, ...],
    title: str,
) -> Captions:
    """Images with the most of their heat in the lesion, and misses with the least."""
    if not len(sample.masked):
        return {}
    order = np.argsort(found.energy, kind="stable")
    misses = [int(i) for i in order if not found.hits[i]][:SHOWN]
    hits = [int(i) for i in order[::-1] if found.hits[i]][:SHOWN]
    rows = [
        [_tile(sample, heats, found, classes, masked=i) for i in chosen]
        for chosen in (hits, misses)
        if chosen
    ]
    figure = draw_grid(rows, title=title, inches=1.5)
    save(figure, folder / "pointing_game.png")
    return {
        "pointing_game.png": "The lesion's outline (white) and the hottest pixel (cross): hits "
        "with most of the heat inside above, misses with the least below."
    }


def _tile(
    sample: Sample, heats: Maps, found: Pointing, classes: tuple[str, ...], *, masked: int
) -> Tile:
    n = int(sample.masked[masked])
    row, column = np.unravel_index(int(heats[n].argmax()), heats[n].shape)
    return Tile(
        _overlay(sample.pictures[n], heats[n]),
        f"{classes[sample.decided[n]]}\n{found.energy[masked]:.0%} inside",
        outlines=(Outline(sample.masks[masked], "white"),),
        cross=(int(row), int(column)),
    )


def _overlay(image: NDArray[np.uint8], heat: NDArray[np.float32]) -> NDArray[np.uint8]:
    return overlaid(image, heat, opacity=0.45)

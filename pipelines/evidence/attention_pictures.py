"""The pictures of the evidence on where a model looks."""

from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from pipelines.evaluation.cells import Cells, spread
from pipelines.evaluation.figures import COLOURS, plain, save
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
    shown = min(RANDOMISED_SHOWN, len(sample.pictures))
    figure = Figure(figsize=(1.5 * (len(stages) + 1), 1.45 * shown + 0.8), layout="constrained")
    figure.suptitle(title)
    grid = figure.subplots(shown, len(stages) + 1, squeeze=False)
    for axes in grid.flat:
        axes.axis("off")
    for axes, picture in zip(grid[:, 0], sample.pictures, strict=False):
        axes.imshow(picture)
    for column, stage in zip(grid.T[1:], stages, strict=True):
        column[0].set_title(f"{stage.said}\nr = {stage.correlation:.2f}", fontsize=7)
        for axes, picture, heat in zip(column, sample.pictures, stage.maps, strict=False):
            _overlay(axes, picture, spread(heat, cells, len(picture)))
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
    figure = Figure(figsize=(1.6 * SHOWN, 4.4), layout="constrained")
    figure.suptitle(title)
    grid = figure.subplots(2, SHOWN, squeeze=False)
    for axes in grid.flat:
        axes.axis("off")
    for row, chosen in zip(grid, (hits, misses), strict=True):
        for axes, i in zip(row, chosen, strict=False):
            n = int(sample.masked[i])
            _overlay(axes, sample.pictures[n], heats[n])
            _outline(axes, sample.masks[i], heats[n])
            said = f"{classes[sample.decided[n]]}\n{found.energy[i]:.0%} inside"
            axes.set_title(said, fontsize=7, loc="left")
    save(figure, folder / "pointing_game.png")
    return {
        "pointing_game.png": "The lesion's outline (white) and the hottest pixel (cross): hits "
        "with most of the heat inside above, misses with the least below."
    }


def _overlay(axes: Axes, picture: NDArray[np.uint8], heat: NDArray[np.float32]) -> None:
    axes.imshow(picture)
    axes.imshow(heat, cmap="turbo", vmin=0, vmax=1, alpha=0.45)


def _outline(axes: Axes, mask: NDArray[np.bool_], heat: NDArray[np.float32]) -> None:
    axes.contour(mask, levels=[0.5], colors="white", linewidths=1)
    row, column = np.unravel_index(int(heat.argmax()), heat.shape)
    axes.plot(column, row, marker="x", color="white", markersize=7, markeredgewidth=2)

"""Found lesions over their images, beside the true ones."""

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from pipelines.evidence.heat import Pictures
from pipelines.segmentation.overlap import Masks, Values

ACROSS = 6
TRUE, FOUND = "white", "#e69f00"


def sheet(pictures: Pictures, true: Masks, found: Masks, scores: Values, *, title: str) -> Figure:
    """The best, the middle and the worst of the test images, a row each.

    Args:
        pictures: (n, size, size, 3).
        true: from their masks.
        found: by the network.
        scores: Dice of each.
        title: of the figure.
    """
    order = scores.argsort(kind="stable")
    middle = max(0, (len(order) - ACROSS) // 2)
    rows = {
        "best": order[::-1][:ACROSS],
        "middle": order[middle : middle + ACROSS],
        "worst": order[:ACROSS],
    }
    figure = Figure(figsize=(1.6 * ACROSS, 5.6), layout="constrained")
    figure.suptitle(f"{title}: true (white) and found (orange), Dice")
    grid = figure.subplots(len(rows), ACROSS, squeeze=False)
    for axes in grid.flat:
        axes.axis("off")
    for (name, chosen), cells in zip(rows.items(), grid, strict=True):
        for place, (axes, i) in enumerate(zip(cells, chosen, strict=False)):
            axes.imshow(pictures[i])
            _outline(axes, true[i], TRUE)
            _outline(axes, found[i], FOUND)
            said = f"{name}: " if place == 0 else ""
            axes.set_title(f"{said}{scores[i]:.2f}", fontsize=8, loc="left")
    return figure


def _outline(axes: Axes, mask: NDArray[np.bool_], colour: str) -> None:
    if mask.any():
        axes.contour(mask, levels=[0.5], colors=colour, linewidths=1.2)

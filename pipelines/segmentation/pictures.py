"""Found lesions over their images, beside the true ones."""

from matplotlib.figure import Figure

from pipelines.evaluation.grid import Outline, Tile, draw_grid
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
    tiles = [
        [
            Tile(
                pictures[i],
                f"{name}: {scores[i]:.2f}" if place == 0 else f"{scores[i]:.2f}",
                outlines=(Outline(true[i], TRUE), Outline(found[i], FOUND)),
            )
            for place, i in enumerate(chosen)
        ]
        for name, chosen in rows.items()
    ]
    title = f"{title}: true (white) and found (orange), Dice"
    return draw_grid(tiles, title=title, inches=1.5, fontsize=8)

"""How far one set of images is from another, by the statistics of their profiles alone.

Takes what ``statistics.json`` holds of a class in a split, so that a later delivery can be held
against the images a model was trained on without either's pixels.
"""

from collections.abc import Mapping
from typing import Any, NamedTuple

from scipy.spatial.distance import jensenshannon

from pipelines.features import texture

Statistics = Mapping[str, Any]
"""Of one class in one split; see `Facts.statistics`."""


class Shift(NamedTuple):
    """How far images are from those of a reference."""

    shades: float
    """Jensen-Shannon distance of the two histograms of shades: 0 (equal) to 1 (nothing shared)."""
    feature: str
    """The texture feature whose mean has moved most …"""
    moved: float
    """… and by how many standard deviations of the reference's images."""


def shift(reference: Statistics, now: Statistics) -> Shift | None:
    """Compare two sets of images; ``None`` if one of them is empty.

    Args:
        reference: what is compared with, such as a class's training images.
        now: what is compared.
    """
    if not reference["images"] or not now["images"]:
        return None
    shades = jensenshannon(reference["grey_histogram"], now["grey_histogram"], base=2)
    moves = {
        name: _moved(reference["texture"][name], now["texture"][name]) for name in texture.NAMES
    }
    most = max(texture.NAMES, key=lambda name: abs(moves[name]))
    return Shift(float(shades), most, moves[most])


def _moved(reference: Statistics, now: Statistics) -> float:
    """0 for a feature that is the same in all images of the reference."""
    spread = reference["std"]
    return float((now["mean"] - reference["mean"]) / spread) if spread else 0.0

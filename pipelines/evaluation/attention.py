"""Where a heat map lies, in figures and in words.

Left and right are those of the picture, never the patient's: which side of a patient a picture
shows on its left depends on how it was taken, and the file does not always say.
"""

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

Where = Literal[
    "upper left",
    "upper centre",
    "upper right",
    "centre left",
    "centre",
    "centre right",
    "lower left",
    "lower centre",
    "lower right",
]
GRID: tuple[tuple[Where, Where, Where], ...] = (
    ("upper left", "upper centre", "upper right"),
    ("centre left", "centre", "centre right"),
    ("lower left", "lower centre", "lower right"),
)
NAMED_SHARE = 0.2
"""Least share of the heat that gets a ninth of the picture named; an even spread gives 0.11."""
MOST = 0.4
"""Least share of the heat in the places named that is told without saying that it is spread."""
NARROW = 0.1
WIDE = 0.3
"""Share of the picture that holds half of the heat: up to `NARROW` it is concentrated, from
`WIDE` on spread out; an even spread gives 0.5."""


@dataclass(frozen=True)
class Place:
    """A ninth of the picture, and its share of the heat."""

    where: Where
    share: float


@dataclass(frozen=True)
class Attention:
    """Where in a picture the model found support for a class."""

    places: tuple[Place, ...]
    """The ninths that hold much of it, the strongest first; none if it is spread out."""
    inside_body: float
    """Share of it on the body, 0 to 1."""
    half_within: float
    """Least share of the picture that holds half of it, 0 to 0.5."""

    @property
    def is_caution_needed(self) -> bool:
        """Whether most of it lies on no body, so that the answer rests on something else."""
        return self.inside_body < 0.5

    @property
    def text(self) -> str:
        """Two or three sentences for a person."""
        inside = f"{self.inside_body:.0%} of it is on the body."
        return " ".join(filter(None, (self._places(), inside, self._caution())))

    def _places(self) -> str:
        if not self.places:
            return "The model's attention is spread over the picture."
        share = sum(place.share for place in self.places)
        named = _listed([f"the {place.where}" for place in self.places])
        if share < MOST:
            return (
                f"The model's attention is spread over the picture, {share:.0%} of it in {named}."
            )
        lies = f"{share:.0%} of the model's attention lies in {named} of the picture"
        return f"{lies}{self._extent()}."

    def _extent(self) -> str:
        if self.half_within <= NARROW:
            return ", concentrated on a small area"
        return ", spread widely" if self.half_within >= WIDE else ""

    def _caution(self) -> str:
        if not self.is_caution_needed:
            return ""
        return (
            "Caution: most of the attention is outside the body, so the answer may rest on "
            "something that is no anatomy, such as a label or a border. Do not rely on it."
        )


def locate(heat: NDArray[np.float32], body: NDArray[np.bool_]) -> Attention | None:
    """Describe a heat map.

    Args:
        heat: float32 (height, width), 0 and above, over the picture.
        body: bool (height, width), true on the body; see `pipelines.imaging.body.body_mask`.

    Returns:
        Where it lies; ``None`` if there is no heat at all.
    """
    total = float(heat.sum())
    if total <= 0:
        return None
    shares = [
        Place(where, float(part.sum()) / total)
        for names, row in zip(GRID, np.array_split(heat, 3), strict=True)
        for where, part in zip(names, np.array_split(row, 3, axis=1), strict=True)
    ]
    named = sorted((p for p in shares if p.share >= NAMED_SHARE), key=lambda p: -p.share)
    return Attention(
        places=tuple(named),
        inside_body=float(heat[body].sum()) / total,
        half_within=_half_within(heat),
    )


def _half_within(heat: NDArray[np.float32]) -> float:
    warmest_first = np.sort(heat, axis=None)[::-1].cumsum(dtype=np.float64)
    pixels = int(np.searchsorted(warmest_first, warmest_first[-1] / 2)) + 1
    return pixels / heat.size


def _listed(words: list[str]) -> str:
    return " and ".join(filter(None, [", ".join(words[:-1]), words[-1]]))

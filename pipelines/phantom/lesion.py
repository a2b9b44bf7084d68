"""Lesions: what the classes differ in. They teach; they stand for no real disease."""

from dataclasses import dataclass
from typing import Literal

import numpy as np

from pipelines.phantom.anatomy import Head
from pipelines.phantom.shapes import Ellipse, Field, coverage, paint, smooth_noise

Label = Literal["no_lesion", "round_lesion", "diffuse_lesion"]
LABELS: tuple[Label, ...] = ("no_lesion", "round_lesion", "diffuse_lesion")


@dataclass(frozen=True)
class Lesion:
    """One lesion of a subject; how it is drawn hangs on its kind."""

    kind: Label
    place: Ellipse
    contrast: float
    """Signal above (round) or below (diffuse) the tissue around."""
    core: float
    """Share of the lesion that is a dark core, 0 for none."""
    seed: int


def draw_lesion(rng: np.random.Generator, kind: Label, head: Head) -> Lesion:
    """Draw the lots for one lesion that lies in the brain."""
    low, high = (0.15, 0.27) if kind == "round_lesion" else (0.28, 0.44)
    radius = rng.uniform(low, high)
    room = head.brain.grown(-radius if kind == "round_lesion" else -0.7 * radius)
    angle, reach = rng.uniform(0, 2 * np.pi), np.sqrt(rng.uniform(0.1, 0.9))
    roundness = rng.uniform(0.82, 1) if kind == "round_lesion" else rng.uniform(0.55, 0.9)
    return Lesion(
        kind=kind,
        place=Ellipse(
            reach * room.width * np.cos(angle),
            reach * room.height * np.sin(angle),
            radius,
            radius * roundness,
            angle=rng.uniform(0, np.pi),
        ),
        contrast=rng.uniform(0.2, 0.42),
        core=rng.uniform(0.3, 0.55) if rng.random() < 0.5 else 0.0,
        seed=int(rng.integers(2**31)),
    )


def add_lesion(
    picture: Field, x: Field, y: Field, lesion: Lesion, *, tissue: Field, cut: float
) -> tuple[Field, Field]:
    """Draw a lesion into a slice.

    Args:
        picture: the slice so far.
        x, y: where each pixel lies in the head.
        lesion: what to draw.
        tissue: how much of each pixel is brain tissue; nothing is drawn elsewhere.
        cut: size of the lesion in this slice, 1 for its middle.

    Returns:
        The slice with the lesion, and how much of each pixel the lesion covers.
    """
    place = lesion.place.scaled(cut)
    draw = _round if lesion.kind == "round_lesion" else _diffuse
    drawn, cover = draw(picture, place.distance(x, y), lesion, place)
    return paint(picture, drawn, tissue), cover * tissue


def _round(picture: Field, distance: Field, lesion: Lesion, place: Ellipse) -> tuple[Field, Field]:
    """Even, brighter than tissue, with a sharp edge; some have a fluid core."""
    cover = coverage(distance, 0.03)
    value = max(0.45, float(np.average(picture, weights=cover))) + lesion.contrast
    drawn = paint(picture, value, cover)
    if lesion.core:
        core = coverage(distance + place.width * (1 - lesion.core), 0.03)
        drawn = paint(drawn, value - 0.8 * lesion.contrast, core)
    return drawn, cover


def _diffuse(
    picture: Field, distance: Field, lesion: Lesion, place: Ellipse
) -> tuple[Field, Field]:
    """Darker than tissue, ragged and fading out; some have a darker core with a faint rim."""
    rng = np.random.default_rng(lesion.seed)
    side = len(picture)
    ragged = distance + 0.35 * place.height * smooth_noise(rng, side, grain=0.07)
    cover = coverage(ragged, 0.16)
    drawn = picture - lesion.contrast * cover * (0.9 + 0.2 * smooth_noise(rng, side, grain=0.03))
    if lesion.core:
        inside = ragged + place.height * (1 - lesion.core)
        rim = coverage(inside - 0.04, 0.05) - coverage(inside, 0.05)
        drawn = paint(drawn, 0.16, 0.7 * coverage(inside, 0.06)) + 0.8 * lesion.contrast * rim
    return drawn, cover

"""One slice through a phantom head, as a scanner might show it."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter

from pipelines.phantom.anatomy import Head
from pipelines.phantom.lesion import Lesion, add_lesion
from pipelines.phantom.shapes import Field, coverage, paint, smooth_noise

EDGE = 0.025


@dataclass(frozen=True)
class Slice:
    """A picture and where its lesion is, uint8 (side, side); the mask is 0 or 255."""

    picture: NDArray[np.uint8]
    mask: NDArray[np.uint8]


def draw_slice(
    head: Head, lesion: Lesion | None, *, level: float, size: int, rng: np.random.Generator
) -> Slice:
    """Draw one slice.

    Args:
        head: the subject.
        lesion: what the subject has, or nothing.
        level: height of the slice, -1 to 1; 0 is the middle of head and lesion.
        size: side of the picture in pixels.
        rng: what differs from slice to slice: bias field, noise, exposure.
    """
    x, y = _head_coordinates(head, level, size)
    fluid = _fluid_spaces(head, x, y, level)
    picture = _tissue(head, x, y, level)
    cover = np.zeros_like(picture)
    if lesion:
        tissue = coverage(head.brain.distance(x, y), EDGE) * (1 - fluid)
        cut = float(np.sqrt(1 - level**2))
        picture, cover = add_lesion(picture, x, y, lesion, tissue=tissue, cut=cut)
    picture = paint(picture, head.tissues.fluid, fluid)
    return Slice(_scan(picture, rng), np.where(cover > 0.5, 255, 0).astype(np.uint8))


def _head_coordinates(head: Head, level: float, size: int) -> tuple[Field, Field]:
    """Where each pixel lies in the head, which is turned, shifted and not quite of ellipses."""
    ticks = (np.arange(size) + 0.5) * (2 / size) - 1
    right, down = np.meshgrid(ticks - head.shift[0], ticks - head.shift[1])
    cos, sin = np.cos(head.tilt), np.sin(head.tilt)
    zoom = 1 / np.sqrt(1 - 0.25 * level**2)
    bend_x, bend_y = _textures(head, level, size, grain=0.3)
    x = (right * cos + down * sin) * zoom + 0.014 * bend_x
    y = (down * cos - right * sin) * zoom + 0.014 * bend_y
    return x, y


def _tissue(head: Head, x: Field, y: Field, level: float) -> Field:
    """Tissue by tissue, from the skin inwards."""
    tissues = head.tissues
    folds, mottle = _textures(head, level, len(x), grain=0.05)
    picture = paint(np.zeros_like(x), tissues.scalp, coverage(head.outline.distance(x, y), EDGE))
    bone = head.outline.grown(-head.scalp)
    picture = paint(picture, tissues.bone, coverage(bone.distance(x, y), EDGE))
    inner = head.brain.distance(x, y)
    picture = paint(picture, tissues.fluid, coverage(inner, EDGE))
    picture = paint(picture, tissues.grey, coverage(inner + 0.025, EDGE))
    ribbon = np.maximum(inner + head.cortex, 0.1 * (0.55 - np.abs(folds)))
    core = inner + head.cortex + head.folding
    white = coverage(np.minimum(ribbon, core), EDGE)
    picture = paint(picture, tissues.white, white)
    sulci = coverage(0.1 * (np.abs(folds) - 0.12), EDGE) * coverage(-inner - head.folding, 0.08)
    picture = paint(picture, tissues.fluid, 0.5 * sulci * coverage(inner, EDGE))
    for nucleus in head.nuclei:
        picture = paint(picture, tissues.nuclei, coverage(nucleus.distance(x, y), 3 * EDGE))
    for vessel in head.vessels:
        picture = paint(picture, tissues.white + 0.2, coverage(vessel.distance(x, y), EDGE))
    return picture * (1 + 0.03 * mottle)


def _fluid_spaces(head: Head, x: Field, y: Field, level: float) -> Field:
    """How much of each point is ventricle, or fissure between the hemispheres."""
    ends = coverage(0.42 * head.brain.height - np.abs(y), 0.1)
    line = coverage(np.abs(x) - 0.006, EDGE) * coverage(head.brain.distance(x, y), EDGE)
    spaces = 0.8 * line * ends
    for ventricle in head.ventricles:
        here = ventricle.scaled(1 - 0.5 * abs(level))
        spaces = np.maximum(spaces, coverage(here.distance(x, y), EDGE))
    return spaces


def _textures(head: Head, level: float, size: int, *, grain: float) -> tuple[Field, Field]:
    """Two textures of the subject's own, that change slowly from slice to slice."""
    rng = np.random.default_rng([head.texture_seed, round(1000 * grain)])
    here, there, above, beyond = (smooth_noise(rng, size, grain=grain) for _ in range(4))
    cos, sin = np.cos(level), np.sin(level)
    return here * cos + above * sin, there * cos + beyond * sin


def _scan(picture: Field, rng: np.random.Generator) -> NDArray[np.uint8]:
    """What the scanner adds: uneven coils, blur, Rician noise, exposure."""
    size = len(picture)
    ticks = np.linspace(-1, 1, size)
    slope_x, slope_y, bowl = rng.normal(0, 0.06, 3)
    across, down = ticks[None, :], ticks[:, None]
    bias = np.exp(slope_x * across + slope_y * down + bowl * (across**2 + down**2))
    blurred = gaussian_filter(picture * bias, rng.uniform(0.3, 0.8) * size / 128)
    noise = rng.uniform(0.008, 0.025)
    real, imaginary = rng.normal(0, noise, (2, size, size))
    magnitude = np.hypot(blurred + real, imaginary)
    exposed = (magnitude * rng.uniform(0.95, 1.1)) ** rng.uniform(0.9, 1.1)
    shades: NDArray[np.uint8] = np.rint(255 * exposed.clip(0, 1)).astype(np.uint8)
    return shades

"""A head of ellipses: what one synthetic subject looks like, the same in each of its slices."""

from dataclasses import dataclass

import numpy as np

from pipelines.phantom.shapes import Ellipse


@dataclass(frozen=True)
class Tissues:
    """Signal of each tissue, 0 to 1, roughly as in a T1-weighted slice."""

    scalp: float
    bone: float
    fluid: float
    grey: float
    white: float
    nuclei: float


@dataclass(frozen=True)
class Head:
    """One subject. Lengths are in half image widths, angles in radians."""

    outline: Ellipse
    scalp: float
    """Thickness."""
    bone: float
    cortex: float
    tissues: Tissues
    ventricles: tuple[Ellipse, ...]
    nuclei: tuple[Ellipse, ...]
    vessels: tuple[Ellipse, ...]
    folding: float
    """How deep the folds of the cortex reach."""
    tilt: float
    shift: tuple[float, float]
    texture_seed: int

    @property
    def brain(self) -> Ellipse:
        """The inside of the skull."""
        return self.outline.grown(-self.scalp - self.bone)


def draw_subject(rng: np.random.Generator) -> Head:
    """Draw the lots for one subject."""
    outline = Ellipse(0.0, 0.0, rng.uniform(0.74, 0.82), rng.uniform(0.88, 0.95))
    scalp, bone = rng.uniform(0.03, 0.06), rng.uniform(0.03, 0.06)
    return Head(
        outline=outline,
        scalp=scalp,
        bone=bone,
        cortex=rng.uniform(0.06, 0.09),
        tissues=_tissues(rng),
        ventricles=_ventricles(rng),
        nuclei=_nuclei(rng),
        vessels=_vessels(rng, outline.grown(-scalp - bone)),
        folding=rng.uniform(0.1, 0.18),
        tilt=rng.normal(0, np.radians(7)),
        shift=(rng.normal(0, 0.03), rng.normal(0, 0.03)),
        texture_seed=int(rng.integers(2**31)),
    )


def _tissues(rng: np.random.Generator) -> Tissues:
    grey = rng.uniform(0.36, 0.46)
    white = grey + rng.uniform(0.1, 0.18)
    return Tissues(
        scalp=rng.uniform(0.6, 0.85),
        bone=rng.uniform(0.04, 0.1),
        fluid=rng.uniform(0.1, 0.2),
        grey=grey,
        white=white,
        nuclei=(grey + white) / 2 - rng.uniform(0, 0.04),
    )


def _ventricles(rng: np.random.Generator) -> tuple[Ellipse, ...]:
    """Front and back horns on both sides, not quite alike, and the third ventricle between."""
    width, height = rng.uniform(0.04, 0.065), rng.uniform(0.13, 0.18)
    apart, lean = rng.uniform(0.08, 0.12), rng.uniform(0.15, 0.4)
    horns = [
        Ellipse(
            side * apart * rng.uniform(0.9, 1.15),
            front * height * 0.75,
            width * rng.uniform(0.8, 1.25),
            height * rng.uniform(0.8, 1.15),
            angle=-side * front * lean,
        )
        for side in (-1, 1)
        for front in (-1, 1)
    ]
    third = Ellipse(0.0, rng.uniform(0.0, 0.06), rng.uniform(0.012, 0.025), rng.uniform(0.08, 0.14))
    return (*horns, third)


def _nuclei(rng: np.random.Generator) -> tuple[Ellipse, ...]:
    apart, size = rng.uniform(0.17, 0.22), rng.uniform(0.07, 0.1)
    return tuple(Ellipse(s * apart, 0.04, size, size * 1.5, angle=s * 0.35) for s in (-1, 1))


def _vessels(rng: np.random.Generator, brain: Ellipse) -> tuple[Ellipse, ...]:
    """Small bright dots that every class has: bright alone does not mean a lesion."""
    dots = []
    for _ in range(rng.integers(0, 4)):
        angle, reach = rng.uniform(0, 2 * np.pi), np.sqrt(rng.uniform(0.05, 0.75))
        radius = rng.uniform(0.012, 0.025)
        x, y = reach * brain.width * np.cos(angle), reach * brain.height * np.sin(angle)
        dots.append(Ellipse(x, y, radius, radius * rng.uniform(1, 1.8), angle=angle))
    return tuple(dots)

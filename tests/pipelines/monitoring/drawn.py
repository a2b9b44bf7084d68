"""Answers drawn from known distributions, and a reference of them."""

import numpy as np

from pipelines.monitoring.answers import Answers
from pipelines.monitoring.reference import Reference
from pipelines.outputs import Profile

CLASSES = ("a", "b", "c")
CHANNELS = 16


def draw(
    rows: int,
    *,
    seed: int,
    brightness: float = 60.0,
    width: int = 224,
    mix: tuple[float, float, float] = (0.5, 0.3, 0.2),
    sureness: float = 1.0,
    abstained: float = 0.05,
    shift: float = 0.0,
) -> Answers:
    """Answers of a model; each argument moves one thing and leaves the rest as it was.

    Args:
        rows: how many.
        seed: of all that is drawn.
        brightness: mean grey level, with a standard deviation of 10 among pictures.
        width: of all pictures.
        mix: share of each predicted class.
        sureness: 0 gives each class a third, 1 mostly between 0.8 and 1 to the one decided for.
        abstained: share of the answers.
        shift: of every feature, in its standard deviations.
    """
    rng = np.random.default_rng(seed)
    predicted = rng.choice(len(CLASSES), rows, p=mix)
    confidence = 1 / 3 + sureness * (rng.beta(9, 1, rows) * 2 / 3)
    probabilities = np.repeat((1 - confidence[:, None]) / 2, len(CLASSES), axis=1)
    probabilities[np.arange(rows), predicted] = confidence
    return Answers(
        classes=CLASSES,
        predicted=predicted,
        probabilities=probabilities.astype(np.float32),
        abstained=rng.random(rows) < abstained,
        features=rng.normal(1 + shift, 1, (rows, CHANNELS)).astype(np.float32),
        pictures=np.stack(
            [
                rng.normal(brightness, 10, rows),
                rng.normal(40, 5, rows),
                np.full(rows, width),
                np.full(rows, 200),
            ],
            axis=1,
        ).astype(np.float32),
    )


def reference_of(answers: Answers, *, seed: int = 0) -> Reference:
    """A reference whose confidences are exact: each answer is right with that chance."""
    rng = np.random.default_rng(seed)
    right = rng.random(len(answers)) < answers.confidence
    labels = np.where(right, answers.predicted, (answers.predicted + 1) % len(CLASSES))
    profile = Profile(
        dataset="drawn", id="0", path="none", run_id="run", version=1, images=len(answers)
    )
    return Reference(profile, answers, labels, None)

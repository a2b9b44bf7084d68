"""How often each reading of "worse than the champion" refuses what it should not, and should.

    .venv/bin/python -m benchmarks.gate_rules

Draws test sets of one class, on which a champion finds 90 % of the images and a challenger finds
as many, more, or fewer; both err apart on some images (6 % each way where they are equally good).
Each is judged by the gate's own rule with a margin of 0.05. Prints the share of refusals as a
Markdown table; some seconds.
"""

from itertools import product
from typing import get_args

import numpy as np

from pipelines.evaluation.paired import Difference
from pipelines.release.drops import drop
from pipelines.spec import GateSpec
from pipelines.spec.gate import Worse

APART = 0.06
"""Share of images on which either of two equally good models is right and the other wrong."""
TRUE_DROPS = (-0.03, 0.0, 0.05, 0.1, 0.2)
IMAGES = (20, 50, 150, 500)
MARGIN = 0.05
TRIALS = 1000
RESAMPLES = 1000


def seen(images: int, true_drop: float, rng: np.random.Generator) -> Difference:
    """A test set drawn by chance: the difference in sensitivity, and its bootstrap interval."""
    lost, won = APART + max(true_drop, 0), APART + max(-true_drop, 0)
    counts = rng.multinomial(images, [lost, won, 1 - lost - won])
    drawn = rng.multinomial(images, counts / images, size=RESAMPLES)
    apart = (drawn[:, 1] - drawn[:, 0]) / images
    low, high = np.percentile(apart, [2.5, 97.5])
    return Difference((counts[1] - counts[0]) / images, float(low), float(high), p=float("nan"))


def refused(gate: GateSpec, images: int, true_drop: float) -> float:
    """Share of drawn test sets on which the rule refuses."""
    rng = np.random.default_rng(images)
    verdicts = (
        drop("sensitivity", seen(images, true_drop, rng), MARGIN, gate=gate, beside=1).passed
        for _ in range(TRIALS)
    )
    return 1 - float(np.mean(list(verdicts)))


def main() -> None:
    """Print the table."""
    print("| images of the class | true drop | " + " | ".join(get_args(Worse)) + " |")
    print("|---:|---:|---:|---:|---:|")
    for images, true_drop in product(IMAGES, TRUE_DROPS):
        shares = [refused(GateSpec(worse_when=when), images, true_drop) for when in get_args(Worse)]
        print(f"| {images} | {true_drop:+.2f} | " + " | ".join(f"{s:.0%}" for s in shares) + " |")


if __name__ == "__main__":
    main()

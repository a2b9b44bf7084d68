"""How often each reading of "worse than the champion" refuses what it should not, and should.

    .venv/bin/python -m benchmarks.gate_rules [--draw docs/images/gate-rules.png]

Draws test sets of one class, on which a champion finds 90 % of the images and a challenger finds
as many, more, or fewer; both err apart on some images (6 % each way where they are equally good).
Each is judged by the gate's own rule with a margin of 0.05. Prints the share of refusals as a
Markdown table; some seconds.
"""

import argparse
from collections.abc import Mapping
from itertools import product
from pathlib import Path
from typing import get_args

import numpy as np
from matplotlib.figure import Figure

from pipelines.evaluation import figures
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


def drawn(shares: Mapping[tuple[Worse, int, float], float]) -> Figure:
    """Share of refusals by number of images, a panel for each reading."""
    figure = Figure(figsize=(11, 3.4), layout="constrained")
    panels = figure.subplots(1, len(get_args(Worse)), sharey=True)
    for axes, when in zip(panels, get_args(Worse), strict=True):
        for colour, true_drop in zip(figures.COLOURS, TRUE_DROPS, strict=False):
            values = [shares[when, images, true_drop] for images in IMAGES]
            label = f"{true_drop:.2f} worse" if true_drop > 0 else "equally good"
            label = f"{-true_drop:.2f} better" if true_drop < 0 else label
            axes.plot(IMAGES, values, color=colour, marker="o", label=label)
        axes.set_xscale("log")
        axes.set_xticks(IMAGES, [str(n) for n in IMAGES])
        axes.minorticks_off()
        axes.set(title=f"worse_when: {when}", xlabel="test images of the class")
        axes.grid(alpha=0.3)
    panels[0].set(ylabel="share of challengers refused", ylim=(-0.03, 1.03))
    handles, labels = panels[0].get_legend_handles_labels()
    figure.legend(handles, labels, title="the challenger is", loc="outside right upper")
    return figure


def main() -> None:
    """Print the table, and draw it if asked to."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--draw", type=Path, help="PNG to write")
    target = parser.parse_args().draw
    readings: tuple[Worse, ...] = get_args(Worse)
    shares: dict[tuple[Worse, int, float], float] = {}
    print("| images of the class | true drop | " + " | ".join(readings) + " |")
    print("|---:|---:|---:|---:|---:|")
    for images, true_drop in product(IMAGES, TRUE_DROPS):
        for when in readings:
            gate = GateSpec(worse_when=when)
            shares[when, images, true_drop] = refused(gate, images, true_drop)
        told = " | ".join(f"{shares[when, images, true_drop]:.0%}" for when in readings)
        print(f"| {images} | {true_drop:+.2f} | {told} |", flush=True)
    if target is not None:
        figures.save(drawn(shares), target)


if __name__ == "__main__":
    main()

"""How often each reading of "worse than the champion" refuses what it should not, and should.

    .venv/bin/python -m benchmarks.gate_rules [--draw docs/images/gate-rules.png]
        [--trials 1000] [--chains 200]

First table: one class's sensitivity, a margin of 0.05. Test sets of the class are drawn, on which
a champion finds 90 % of the images and a challenger finds as many, more, or fewer; both err apart
on some images (6 % each way where they are equally good).

Second table: ten generations of models of three classes, each judged on the same test set by all
rules on drops. Either all are equally good, or each is one point worse than what serves.

Both print Markdown and use the gate's own rules; about two minutes.
"""

import argparse
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import get_args

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from pipelines.evaluation import figures
from pipelines.evaluation.paired import Difference
from pipelines.release.drops import drop, drops, limits_of
from pipelines.spec import GateSpec, Metric
from pipelines.spec.gate import Worse

APART = 0.06
"""Share of images on which either of two equally good models is right and the other wrong."""
TRUE_DROPS = (-0.03, 0.0, 0.05, 0.1, 0.2)
IMAGES = (20, 50, 150, 500)
MARGIN = 0.05
RESAMPLES = 1000

CLASSES, GENERATIONS = 3, 10
METRIC: Metric = "macro_sensitivity"
RIGHT = (1.8, 0.2)
"""Beta distribution of an image's share of right answers: 0.90 on average, and two models err
apart on 6 % each way."""
IN_CHAINS = (20, 50, 150, 500)


def seen(images: int, true_drop: float, rng: np.random.Generator) -> Difference:
    """A test set drawn by chance: the difference in sensitivity, and its bootstrap interval."""
    lost, won = APART + max(true_drop, 0), APART + max(-true_drop, 0)
    counts = rng.multinomial(images, [lost, won, 1 - lost - won])
    drawn = rng.multinomial(images, counts / images, size=RESAMPLES)
    apart = (drawn[:, 1] - drawn[:, 0]) / images
    return _difference((counts[1] - counts[0]) / images, apart)


def refused(gate: GateSpec, images: int, true_drop: float, *, trials: int) -> float:
    """Share of drawn test sets on which the rule refuses."""
    rng, limits = np.random.default_rng(images), limits_of(gate, MARGIN)
    verdicts = (
        drop(
            "sensitivity",
            seen(images, true_drop, rng),
            limits,
            independent=images,
            beside="version 1",
        ).passed
        for _ in range(trials)
    )
    return 1 - float(np.mean(list(verdicts)))


@dataclass(frozen=True)
class Chain:
    """What ten generations on one test set came to."""

    first: bool
    """Whether the first challenger was accepted."""
    accepted: int
    lost: float
    """True accuracy of the first champion less that of the last."""


def chain(
    gate: GateSpec, images: int, loss: float, *, rng: np.random.Generator, best: bool = True
) -> Chain:
    """Train and judge ten challengers in turn.

    Args:
        gate: the rules.
        images: test images of each of three classes.
        loss: how much worse each challenger truly is than what serves.
        rng: of the chance in it.
        best: whether challengers are also compared with the best champion so far.
    """
    right = rng.beta(*RIGHT, size=(CLASSES, images))

    def answers(lost: float) -> NDArray[np.bool_]:
        """(classes, images) whether a model that has lost so much is right."""
        kept = rng.random((CLASSES, images)) >= lost / 0.9
        return (rng.random((CLASSES, images)) < right) & kept

    serves, lasting, level, accepted = answers(0), None, 0.0, []
    for _ in range(GENERATIONS):
        challenger = answers(level + loss)
        beside = [serves] if lasting is None else [serves, lasting]
        accepted.append(all(_passes(gate, challenger, one, rng=rng) for one in beside))
        if accepted[-1]:
            lasting = sorted(beside, key=np.mean)[-1] if best else None
            serves, level = challenger, level + loss
    return Chain(accepted[0], sum(accepted), level)


def _passes(
    gate: GateSpec,
    ours: NDArray[np.bool_],
    theirs: NDArray[np.bool_],
    *,
    rng: np.random.Generator,
) -> bool:
    """Whether every rule on drops is kept."""
    images = int(ours.shape[1])
    lost, won = (theirs & ~ours).sum(axis=1), (ours & ~theirs).sum(axis=1)
    shares = np.stack([lost, won, images - lost - won], axis=1) / images
    drawn = np.stack([rng.multinomial(images, each, size=RESAMPLES) for each in shares])
    apart = (drawn[..., 1] - drawn[..., 0]) / images
    seen_apart = (won - lost) / images
    differences = {
        f"sensitivity.{index}": _difference(value, each)
        for index, (value, each) in enumerate(zip(seen_apart, apart, strict=True))
    } | {METRIC: _difference(seen_apart.mean(), apart.mean(axis=0))}
    independent: dict[str, int] = dict.fromkeys(differences, images)
    independent[METRIC] *= CLASSES
    rules = drops(gate, METRIC, differences, independent=independent, beside="version 1")
    return all(rule.passed for rule in rules)


def _difference(value: float, drawn: NDArray[np.float64]) -> Difference:
    low, high = np.percentile(drawn, [2.5, 97.5])
    return Difference(float(value), float(low), float(high), p=float("nan"))


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


def _print_chains(chains: int) -> None:
    print()
    print(
        "| images of each class | reading | equal: first accepted | equal: accepted | "
        "one point lost: accepted | points lost in the end (95 % of chains) |"
    )
    print("|---:|---|---:|---:|---:|---:|")
    readings = [(when, GateSpec(worse_when=when), True) for when in get_args(Worse)]
    readings.append(("shown, champion only", GateSpec(worse_when="shown"), False))
    for images, (name, gate, best) in product(IN_CHAINS, readings):
        rng = np.random.default_rng(images)
        equal, worse = (
            [chain(gate, images, loss, rng=rng, best=best) for _ in range(chains)]
            for loss in (0.0, 0.01)
        )
        first = np.mean([one.first for one in equal])
        shares = [np.mean([one.accepted for one in each]) / GENERATIONS for each in (equal, worse)]
        points = 100 * np.array([one.lost for one in worse])
        lost = f"{points.mean():.1f} ({np.quantile(points, 0.95):.0f})"
        print(
            f"| {images} | {name} | {first:.0%} | {shares[0]:.0%} | {shares[1]:.0%} | {lost} |",
            flush=True,
        )


def main() -> None:
    """Print the table, and draw it if asked to."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--draw", type=Path, help="PNG to write")
    parser.add_argument("--trials", type=int, default=1000, help="test sets (%(default)s)")
    parser.add_argument("--chains", type=int, default=200, help="of models (%(default)s)")
    options = parser.parse_args()
    readings: tuple[Worse, ...] = get_args(Worse)
    shares: dict[tuple[Worse, int, float], float] = {}
    print("| images of the class | true drop | " + " | ".join(readings) + " |")
    print("|---:|---:|---:|---:|---:|")
    for images, true_drop in product(IMAGES, TRUE_DROPS):
        for when in readings:
            gate = GateSpec(worse_when=when)
            shares[when, images, true_drop] = refused(
                gate, images, true_drop, trials=options.trials
            )
        told = " | ".join(f"{shares[when, images, true_drop]:.0%}" for when in readings)
        print(f"| {images} | {true_drop:+.2f} | {told} |", flush=True)
    _print_chains(options.chains)
    if options.draw is not None:
        figures.save(drawn(shares), options.draw)


if __name__ == "__main__":
    main()

"""The curves a model's use is chosen by: thresholds, net benefit, coverage."""

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from pipelines.evaluation.figures import COLOURS, plain
from pipelines.evaluation.intervals import Interval
from pipelines.evaluation.predictive_values import Decided
from pipelines.evaluation.rates import Rate

Values = NDArray[np.float64]


def threshold_curves(
    judged: Sequence[Decided], chosen: Mapping[str, float], *, title: str
) -> Figure:
    """What each threshold comes to, and where those that were chosen lie.

    Args:
        judged: thresholds in rising order.
        chosen: what a threshold is for → the threshold.
        title: of the figure.
    """
    figure = Figure(figsize=(7, 4.2), layout="constrained")
    axes = figure.subplots()
    limits = [one.threshold for one in judged]
    for colour, (name, values, bounds) in zip(
        COLOURS,
        (
            ("sensitivity", *_rated([one.sensitivity for one in judged])),
            ("specificity", *_rated([one.specificity for one in judged])),
            ("PPV", [one.ppv[0] for one in judged], [one.ppv[1] for one in judged]),
            ("NPV", [one.npv[0] for one in judged], [one.npv[1] for one in judged]),
        ),
        strict=False,
    ):
        axes.plot(limits, values, color=colour, label=name, marker=".", markersize=4)
        low, high = zip(*bounds, strict=True)
        axes.fill_between(limits, low, high, color=colour, alpha=0.12, linewidth=0)
    for name, limit in chosen.items():
        axes.axvline(limit, color="0.6", linestyle=":", linewidth=1)
        axes.text(limit, 0.01, f" {name}", rotation=90, fontsize=6, color="0.35", va="bottom")
    axes.set(xlim=(0, 1), ylim=(0, 1.01), title=title)
    axes.set_xlabel("threshold above which a finding is called")
    axes.set_ylabel("share (95 % interval)")
    plain(axes)
    figure.legend(loc="outside lower center", ncols=4, frameon=False, fontsize=8)
    return figure


def _rated(shares: Sequence[Rate]) -> tuple[list[float], list[Interval]]:
    return [share.value for share in shares], [share.interval for share in shares]


def decision_curve(
    thresholds: Values,
    ours: Values,
    bounds: tuple[Values, Values],
    *,
    everybody: Values,
    title: str,
) -> Figure:
    """Net benefit of acting on the model's answers, on all images, on none.

    Args:
        thresholds: (k,) probabilities from which on one acts.
        ours: (k,) net benefit of the model.
        bounds: (k,) and (k,), its interval.
        everybody: (k,) of acting on all.
        title: of the figure.
    """
    figure = Figure(figsize=(6.4, 4.2), layout="constrained")
    axes = figure.subplots()
    axes.plot(thresholds, ours, color=COLOURS[0], label="by the model (95 % interval)")
    axes.fill_between(thresholds, *bounds, color=COLOURS[0], alpha=0.15, linewidth=0)
    axes.plot(thresholds, everybody, color=COLOURS[1], linestyle="--", label="act on all")
    axes.axhline(0, color="0.4", linewidth=1, label="act on none")
    top = max(float(ours.max()), 0.01)
    axes.set(xlim=(0, float(thresholds[-1])), ylim=(-0.15 * top, 1.1 * top), title=title)
    axes.set_xlabel("probability of a finding from which on one acts")
    axes.set_ylabel("net benefit (findings per image)")
    plain(axes)
    figure.legend(loc="outside lower center", ncols=3, frameon=False, fontsize=8)
    return figure


def coverage_curve(
    coverages: Values,
    accuracy: Values,
    bounds: tuple[Values, Values],
    *,
    asked: float,
    reached: tuple[float, float] | None,
    title: str,
) -> Figure:
    """Accuracy of the answered images by how many are answered.

    Args:
        coverages: (k,) shares of the images that are answered, surest first.
        accuracy: (k,) of these.
        bounds: (k,) and (k,), its interval.
        asked: the accuracy that is asked for.
        reached: coverage and accuracy at the confidence chosen for it, if there is one.
        title: of the figure.
    """
    figure = Figure(figsize=(6, 4), layout="constrained")
    axes = figure.subplots()
    axes.plot(coverages, accuracy, color=COLOURS[0], label="answered images (95 % interval)")
    axes.fill_between(coverages, *bounds, color=COLOURS[0], alpha=0.15, linewidth=0)
    axes.axhline(asked, color="0.5", linestyle=":", label=f"asked for: {asked:g}")
    if reached is not None:
        axes.plot(*reached, "o", color=COLOURS[1], label="at the confidence chosen on validation")
    axes.set(xlim=(0, 1.01), title=title)
    axes.set_xlabel("coverage: share of the images answered, surest first")
    axes.set_ylabel("accuracy of the answered images")
    plain(axes)
    figure.legend(loc="outside lower center", ncols=3, frameon=False, fontsize=8)
    return figure

"""The tables and the picture of `benchmarks.drift`."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pipelines.monitoring.estimate import Estimate
from pipelines.spec import MonitorSpec

SEQUENCES = 4000
LONGEST = 60
"""Windows after which a sequence is given up."""
NAMED = 3
"""Kinds of drift that a cell names."""


@dataclass(frozen=True)
class Outcome:
    """What became of one window."""

    kind: str
    size: int
    caught: tuple[str, ...]
    """The kinds of drift that were seen."""
    accuracy: float
    """Share of right answers in it."""
    estimated: Estimate


def report(
    outcomes: Sequence[Outcome], rules: MonitorSpec, *, title: str, plot: Path | None
) -> None:
    """Print the tables; draw the picture if a file is named."""
    kinds = list(dict.fromkeys(outcome.kind for outcome in outcomes))
    sizes = sorted({outcome.size for outcome in outcomes})
    cells = {
        (kind, size): [o for o in outcomes if (o.kind, o.size) == (kind, size)]
        for kind in kinds
        for size in sizes
    }
    print(f"## {title}: windows with drift, and images until the alarm (median, 90 %)\n")
    _print_row("stream", *(f"window {size}" for size in sizes), f"seen by (at {sizes[-1]})")
    _print_row(*["---"] * (len(sizes) + 2))
    for kind in kinds:
        told = [_caught(cells[kind, size], size, rules) for size in sizes]
        _print_row(kind, *told, _seen_by(cells[kind, sizes[-1]]))
    print(f"\n## {title}: accuracy, and its estimate, in windows of {sizes[-1]}\n")
    _print_row("stream", "accuracy", "estimate", "mean absolute error", "inside the interval")
    _print_row(*["---"] * 5)
    for kind in kinds:
        _print_row(kind, *_estimated(cells[kind, sizes[-1]]))
    if plot is not None:
        _draw(cells, kinds, sizes, title=title, file=plot)


def _print_row(*cells: str) -> None:
    print(f"| {' | '.join(cells)} |", flush=True)


def _caught(outcomes: Sequence[Outcome], size: int, rules: MonitorSpec) -> str:
    seen = np.array([bool(outcome.caught) for outcome in outcomes])
    share = f"{seen.sum()} of {len(seen)}"
    until = windows_until_alarm(seen.mean(), rules) * size
    half, late = np.quantile(until, [0.5, 0.9], method="higher")
    if not np.isfinite(half):
        return share
    return f"{share}; {half:,.0f}, " + (
        f"{late:,.0f}" if np.isfinite(late) else f"over {LONGEST * size:,}"
    )


def windows_until_alarm(chance: float, rules: MonitorSpec) -> NDArray[np.float64]:
    """Windows until the rule alarms, in many sequences, if each shows drift with this chance."""
    random = np.random.default_rng(0)
    seen = random.random((SEQUENCES, LONGEST)) < chance
    lately = np.cumsum(np.pad(seen, ((0, 0), (rules.of, 0))), axis=1)
    alarmed = seen & (lately[:, rules.of :] - lately[:, : -rules.of] >= rules.troubled)
    return np.where(alarmed.any(axis=1), alarmed.argmax(axis=1) + 1.0, np.inf)


def _seen_by(outcomes: Sequence[Outcome]) -> str:
    counts = Counter(name for outcome in outcomes for name in outcome.caught)
    most = counts.most_common(NAMED)
    return ", ".join(f"{name} {count / len(outcomes):.0%}" for name, count in most) or "nothing"


def _estimated(outcomes: Sequence[Outcome]) -> tuple[str, ...]:
    truth = np.array([outcome.accuracy for outcome in outcomes])
    said = np.array([outcome.estimated.accuracy for outcome in outcomes])
    inside = [o.estimated.low <= o.accuracy <= o.estimated.high for o in outcomes]
    return (
        f"{truth.mean():.3f}",
        f"{said.mean():.3f}",
        f"{np.abs(truth - said).mean():.3f}",
        f"{np.mean(inside):.0%}",
    )


def _draw(
    cells: dict[tuple[str, int], list[Outcome]],
    kinds: Sequence[str],
    sizes: Sequence[int],
    *,
    title: str,
    file: Path,
) -> None:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8, 4.5), layout="constrained")
    axes = figure.subplots()
    for kind in kinds:
        shares = [np.mean([bool(o.caught) for o in cells[kind, size]]) for size in sizes]
        style = "--" if kind.startswith("clean") else "-"
        axes.plot(sizes, shares, style, marker="o", label=kind)
    axes.set(
        title=title,
        xlabel="answers in a window",
        ylabel="windows in which drift is seen",
        xscale="log",
        ylim=(-0.03, 1.03),
    )
    axes.set_xticks(sizes, [str(size) for size in sizes], minor=False)
    axes.minorticks_off()
    figure.legend(loc="outside right upper", fontsize="small", frameon=False)
    file.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(file, dpi=150)

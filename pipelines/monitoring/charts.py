"""The pictures of a monitoring report; drawn without pyplot, so that nothing is shared or leaks."""

import io
from base64 import b64encode
from collections.abc import Sequence

import numpy as np
import pyarrow as pa
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from pipelines.evaluation.figures import COLOURS, plain
from pipelines.monitoring.answers import PICTURE, Answers, decisions_in
from pipelines.monitoring.judge import Finding
from pipelines.monitoring.state import JudgedWindow

SHOWN = 40
"""Windows, the latest, that are drawn."""
OLD, NEW = COLOURS[0], COLOURS[1]
DPI = 110


def image(figure: Figure, alt: str) -> str:
    """A figure as an ``img`` element that needs nothing from elsewhere."""
    file = io.BytesIO()
    figure.savefig(file, format="png", dpi=DPI, facecolor="white")
    return f'<img alt="{alt}" src="data:image/png;base64,{b64encode(file.getvalue()).decode()}">'


def findings_by_window(windows: Sequence[JudgedWindow]) -> Figure:
    """A square for each kind of drift in each window: the darker, the less likely by chance."""
    shown = windows[-SHOWN:]
    kinds = [finding.name for finding in shown[-1].findings]
    figure = Figure(figsize=(9, 0.9 + 0.3 * len(kinds)), layout="constrained")
    axes = figure.subplots()
    p_values = np.array([[_of(window, kind).p_value for window in shown] for kind in kinds])
    surprise = -np.log10(np.maximum(p_values, 1e-4))
    drawn = axes.imshow(surprise, cmap="Greys", vmin=0, vmax=4, aspect="auto")
    for column, window in enumerate(shown):
        for row, kind in enumerate(kinds):
            if _of(window, kind).drifted:
                axes.plot(column, row, marker="s", color=NEW, markersize=7)
    axes.set_yticks(range(len(kinds)), kinds)
    _mark_windows(axes, shown)
    bar = figure.colorbar(drawn, ax=axes, ticks=range(5))
    bar.ax.set_yticklabels(["1", "0.1", "0.01", "0.001", "≤ 0.0001"])
    bar.set_label("p-value")
    return figure


def accuracy_by_window(windows: Sequence[JudgedWindow], *, minimum: float | None) -> Figure:
    """Accuracy as estimated without labels, and as measured where labels have come.

    Args:
        windows: in order.
        minimum: what the gate asks for.
    """
    shown = windows[-SHOWN:]
    figure = Figure(figsize=(9, 3.2), layout="constrained")
    axes = figure.subplots()
    at = np.arange(len(shown))
    estimates = [window.estimate for window in shown]
    low, high = [e.low for e in estimates], [e.high for e in estimates]
    axes.fill_between(at, low, high, color=OLD, alpha=0.2, linewidth=0)
    values = [e.accuracy for e in estimates]
    axes.plot(at, values, color=OLD, marker="o", markersize=4, label="estimated, without labels")
    known = [(i, w.measured) for i, w in enumerate(shown) if w.measured]
    if known:
        at_known = [i for i, _ in known]
        values = [m.accuracy for _, m in known]
        bounds = np.array([[m.accuracy - m.low, m.high - m.accuracy] for _, m in known]).T
        axes.errorbar(
            at_known, values, bounds, color=NEW, fmt="D", markersize=4, capsize=3, label="measured"
        )
    axes.axhline(estimates[-1].reference, color="0.5", linestyle=":", label="on the reference")
    if minimum is not None:
        axes.axhline(minimum, color=NEW, linestyle="--", linewidth=1, label="the gate's minimum")
    axes.set_ylabel("accuracy")
    axes.set_ylim(min(0.5, *low) - 0.02, 1.02)
    _mark_windows(axes, shown)
    plain(axes)
    axes.legend(frameon=False, loc="lower left", ncols=2, fontsize=8)
    return figure


def distributions(reference: Answers, table: pa.Table) -> Figure:
    """The latest window beside the reference: brightness, contrast, confidence, classes.

    Args:
        reference: the champion's answers to held-out images.
        table: a window's answers, without features (`state.answers_of`).
    """
    figure = Figure(figsize=(9, 5.2), layout="constrained")
    panels = figure.subplots(2, 2)
    for axes, name, label in (
        (panels[0, 0], "mean", "brightness (grey level, 0 to 255)"),
        (panels[0, 1], "std", "contrast (standard deviation of grey levels)"),
    ):
        before = reference.pictures[:, PICTURE.index(name)]
        _histograms(axes, before, table[name].to_numpy(), label)
    now = decisions_in(table, reference.classes)
    _histograms(panels[1, 0], reference.confidence, now.confidence, "confidence")
    _bars(panels[1, 1], reference, table["predicted"].to_pylist())
    panels[0, 0].legend(frameon=False, fontsize=8)
    return figure


def _histograms(
    axes: Axes, before: NDArray[np.floating], now: NDArray[np.floating], label: str
) -> None:
    both = np.concatenate([before, now])
    edges = np.linspace(both.min(), max(both.max(), both.min() + 1e-6), 25).tolist()
    for values, colour, name in ((before, OLD, "reference"), (now, NEW, "latest window")):
        weights = np.full(len(values), 1 / len(values))
        axes.hist(values, edges, weights=weights, color=colour, alpha=0.55, label=name)
    axes.set_xlabel(label)
    axes.set_ylabel("share of images")
    plain(axes)


def _bars(axes: Axes, reference: Answers, predicted: Sequence[str]) -> None:
    at, names = np.arange(len(reference.classes)), reference.classes
    before = [float((reference.predicted == i).mean()) for i in at]
    now = [predicted.count(name) / len(predicted) for name in names]
    axes.bar(at - 0.2, before, 0.38, color=OLD, alpha=0.7)
    axes.bar(at + 0.2, now, 0.38, color=NEW, alpha=0.7)
    axes.set_xticks(at, names, rotation=20, ha="right")
    axes.set_ylabel("share of answers")
    plain(axes)


def _mark_windows(axes: Axes, windows: Sequence[JudgedWindow]) -> None:
    step = max(1, len(windows) // 10)
    at = range(0, len(windows), step)
    axes.set_xticks(at, [f"{windows[i].number}\n{windows[i].last:%d %b %H:%M}" for i in at])
    axes.set_xlabel("window, and when it ended (UTC)")


def _of(window: JudgedWindow, kind: str) -> Finding:
    return next(finding for finding in window.findings if finding.name == kind)

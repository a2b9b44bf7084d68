"""The pictures of an evaluation. Drawn without pyplot, so that nothing is shared or leaks."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray
from sklearn.metrics import auc, precision_recall_curve, roc_curve

from pipelines.evaluation.intervals import Interval
from pipelines.evaluation.targets import Labels, Probabilities

COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#000000")
"""Okabe and Ito's, told apart by people of any colour vision."""
DPI = 130


def save(figure: Figure, path: Path) -> Path:
    """Write a figure as PNG."""
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=DPI, bbox_inches="tight", facecolor="white")
    return path


def learning_curves(history: Sequence[Mapping[str, float]], *, best: int, title: str) -> Figure:
    """Loss and accuracy by epoch, on training and validation images.

    Args:
        history: each epoch's ``loss``, ``accuracy``, ``val_loss``, ``val_accuracy``.
        best: the epoch whose weights were kept, counted from 1.
        title: of the figure.
    """
    figure = Figure(figsize=(9, 3.4), layout="constrained")
    figure.suptitle(title)
    epochs = np.arange(1, len(history) + 1)
    for axes, name in zip(figure.subplots(1, 2), ("loss", "accuracy"), strict=True):
        for key, label, colour in (
            (name, "training", COLOURS[0]),
            (f"val_{name}", "validation", COLOURS[1]),
        ):
            values = [epoch.get(key, np.nan) for epoch in history]
            axes.plot(epochs, values, color=colour, label=label, marker=".", markersize=4)
        axes.axvline(best, color="0.5", linestyle=":", label=f"kept: epoch {best}")
        axes.set_xlabel("epoch")
        axes.set_ylabel(name)
        plain(axes)
        axes.legend(frameon=False)
    return figure


def confusion_matrices(
    ways: Mapping[str, NDArray[np.int64]], classes: Sequence[str], *, title: str
) -> Figure:
    """Counts side by side, with the share of each true class as colour.

    Args:
        ways: how classes are decided → (classes, classes) counts, true classes in rows.
        classes: their names.
        title: of the figure.
    """
    side = max(3.6, 1.1 + 0.9 * len(classes))
    figure = Figure(figsize=((side + 1) * len(ways), side), layout="constrained")
    figure.suptitle(title, fontsize="medium")
    panels = figure.subplots(1, len(ways), squeeze=False)[0]
    for axes, (way, counts) in zip(panels, ways.items(), strict=True):
        _confusion(axes, counts, classes)
        axes.set_title(way if len(ways) > 1 else "")
    figure.colorbar(
        panels[-1].images[0], ax=panels[-1], shrink=0.8, label="share of the true class"
    )
    return figure


def _confusion(axes: Axes, counts: NDArray[np.int64], classes: Sequence[str]) -> None:
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    axes.imshow(shares, cmap="Blues", vmin=0, vmax=1)
    if len(classes) <= 12:
        for (row, column), count in np.ndenumerate(counts):
            colour = "white" if shares[row, column] > 0.55 else "black"
            text = f"{count}\n{shares[row, column]:.0%}"
            axes.text(column, row, text, ha="center", va="center", color=colour, fontsize=9)
    axes.set_xticks(range(len(classes)), classes, rotation=35, ha="right")
    axes.set_yticks(range(len(classes)), classes)
    axes.set_xlabel("predicted class")
    axes.set_ylabel("true class")


def roc(
    labels: Labels,
    probabilities: Probabilities,
    classes: Sequence[str],
    *,
    intervals: Mapping[str, Interval],
    title: str,
) -> Figure:
    """Receiver operating characteristic of each class against the rest."""
    figure, axes = square(title)
    axes.plot([0, 1], [0, 1], color="0.7", linestyle=":")
    for index, name in enumerate(classes):
        false, true, _ = roc_curve(labels == index, probabilities[:, index])
        text = _told(name, auc(false, true), intervals.get(f"auroc.{name}"))
        axes.plot(false, true, color=COLOURS[index % len(COLOURS)], label=text)
    axes.set_xlabel("1 - specificity")
    axes.set_ylabel("sensitivity")
    axes.legend(loc="lower right", frameon=False, title="AUROC (95 % interval)", fontsize=8)
    return figure


def precision_recall(
    labels: Labels,
    probabilities: Probabilities,
    classes: Sequence[str],
    *,
    intervals: Mapping[str, Interval],
    title: str,
) -> Figure:
    """Precision by sensitivity of each class; dots show the class's share of the images."""
    figure, axes = square(title)
    for index, name in enumerate(classes):
        positive = labels == index
        precision, sensitivity, _ = precision_recall_curve(positive, probabilities[:, index])
        area = float(-np.sum(np.diff(sensitivity) * precision[:-1]))
        colour = COLOURS[index % len(COLOURS)]
        text = _told(name, area, intervals.get(f"auprc.{name}"))
        axes.step(sensitivity, precision, where="post", color=colour, label=text)
        axes.plot(1, positive.mean(), marker="o", color=colour, clip_on=False, markersize=4)
    axes.set_xlabel("sensitivity (recall)")
    axes.set_ylabel("precision")
    axes.legend(loc="lower left", frameon=False, title="AUPRC (95 % interval)", fontsize=8)
    return figure


def _told(name: str, value: float, interval: Interval | None) -> str:
    bounds = f" ({interval.low:.3f} to {interval.high:.3f})" if interval else ""
    return f"{name}: {value:.3f}{bounds}"


def square(title: str) -> tuple[Figure, Axes]:
    """A figure for two shares, 0 to 1 each."""
    figure = Figure(figsize=(5, 5), layout="constrained")
    axes = figure.subplots()
    axes.set(xlim=(-0.01, 1.01), ylim=(-0.01, 1.01), aspect="equal", title=title)
    plain(axes)
    return figure, axes


def plain(axes: Axes) -> None:
    """The style of all figures: a faint grid, no frame."""
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(color="0.92")
    axes.set_axisbelow(True)

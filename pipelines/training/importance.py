"""Which handmade features a regression leans on, in two ways, as one picture."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray
from sklearn.metrics import balanced_accuracy_score

from pipelines.evaluation.figures import COLOURS, plain
from pipelines.training.linear import Floats, Linear

REPEATS = 10


@dataclass(frozen=True)
class Importance:
    """How much each feature matters."""

    names: tuple[str, ...]
    coefficients: NDArray[np.float64]
    """(k, classes) change of a class's logit, against the mean of all classes', with one standard
    deviation of a feature on the training images. Correlated features share it in ways that mean
    little each by itself."""
    losses: NDArray[np.float64]
    """(REPEATS, k) balanced accuracy lost on the validation images once a feature is shuffled."""


def importance(
    fitted: Linear,
    *,
    names: Sequence[str],
    train: Floats,
    values: Floats,
    labels: NDArray[np.int64],
    seed: int,
) -> Importance:
    """Measure it (permutation importance: Breiman 2001, Random forests).

    Args:
        fitted: the regression.
        names: of the features.
        train: (n, k) training features, for their spread.
        values: (m, k) validation features, to shuffle.
        labels: (m,) their classes.
        seed: of the shuffles.
    """
    drawn = np.random.default_rng(seed)

    def right(features: Floats) -> float:
        return float(balanced_accuracy_score(labels, fitted.logits(features).argmax(axis=1)))

    whole = right(values)
    losses = np.zeros((REPEATS, values.shape[1]))
    for repeat, feature in np.ndindex(losses.shape):
        shuffled = values.copy()
        shuffled[:, feature] = drawn.permutation(shuffled[:, feature])
        losses[repeat, feature] = whole - right(shuffled)
    standard = fitted.kernel * np.std(train, axis=0)[:, None]
    beside = standard - standard.mean(axis=1, keepdims=True)
    return Importance(tuple(names), beside, losses)


def draw(found: Importance, classes: Sequence[str], *, title: str) -> Figure:
    """Coefficients by class, and what shuffling each feature costs (bars: mean; lines: one
    standard deviation)."""
    figure = Figure(figsize=(10, 1.4 + 0.3 * len(found.names)), layout="constrained")
    figure.suptitle(title)
    left, right = figure.subplots(1, 2, sharey=True)
    most = float(np.abs(found.coefficients).max()) or 1.0
    shown = left.imshow(found.coefficients, cmap="RdBu_r", vmin=-most, vmax=most, aspect="auto")
    left.set_xticks(range(len(classes)), classes, rotation=35, ha="right")
    left.set_yticks(range(len(found.names)), found.names)
    left.set_title("logit by one standard deviation", fontsize=10)
    figure.colorbar(shown, ax=left, shrink=0.8)
    places = np.arange(len(found.names))
    spread = found.losses.std(axis=0)
    right.barh(places, found.losses.mean(axis=0), xerr=spread, color=COLOURS[0], height=0.6)
    right.axvline(0, color="0.5", linewidth=0.8)
    right.set_title("balanced accuracy lost when shuffled", fontsize=10)
    plain(right)
    return figure

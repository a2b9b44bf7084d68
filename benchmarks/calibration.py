"""Ways to calibrate beside one temperature, on the answers of real runs.

    python -m benchmarks.calibration PREDICTIONS.parquet [...]

PREDICTIONS is an evaluation's ``evaluation/predictions.parquet``. Each way is fitted on the
validation answers; ``cv`` is its negative log-likelihood on these when fitted on four fifths of the
groups and judged on the others, by which one would choose. The rest is measured on test.
"""

import argparse
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.optimize import minimize
from scipy.special import log_softmax
from sklearn.isotonic import IsotonicRegression
from sklearn.model_selection import GroupKFold

from pipelines.evaluation.calibration import calibration_figures, fit_temperature, softmax
from pipelines.evaluation.decisions import Decisions
from pipelines.evaluation.predictions import labels_of, logits_of

FOLDS = 5
LEAST = 1e-6
"""Isotonic regression gives probabilities of 0, whose log-likelihood has no end."""

Floats = NDArray[np.float64]
Labels = NDArray[np.int64]
Calibrate = Callable[[Floats], Floats]
Fit = Callable[[Floats, Labels], Calibrate]


def main() -> None:
    """Print a table for each file."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("predictions", nargs="+", type=Path)
    for file in parser.parse_args().predictions:
        compare(file)


def compare(file: Path) -> None:
    """Print each way's figures on one run's answers."""
    rows = pd.read_parquet(file)
    columns = [name for name in map(str, rows.columns) if name.startswith("logit.")]
    classes = tuple(name.removeprefix("logit.") for name in columns)
    parts = {split: rows[rows["split"] == split] for split in ("validation", "test")}
    logits = {split: logits_of(part, classes).astype(np.float64) for split, part in parts.items()}
    labels = {split: labels_of(part, classes) for split, part in parts.items()}
    groups = parts["validation"]["group"]
    print(f"\n{file}: {len(groups)} validation and {len(labels['test'])} test images")
    print("| way | cv NLL | ECE | adaptive | classwise | NLL | accuracy (argmax) |")
    print("|---|---|---|---|---|---|---|")
    for name, fit in WAYS.items():
        chance = cross_validated(fit, logits["validation"], labels["validation"], groups)
        said = fit(logits["validation"], labels["validation"])(logits["test"])
        found = calibration_figures(said, labels["test"])
        right = Decisions.by_likeliest(said, classes).right(labels["test"]).mean()
        print(
            f"| {name} | {chance:.4f} | {found.ece:.4f} | {found.ece_adaptive:.4f} "
            f"| {found.ece_classwise:.4f} | {found.nll:.4f} | {right:.4f} |"
        )
    said = temperature(logits["validation"], labels["validation"])(logits["test"])
    low, high = np.percentile(by_chance(said), [2.5, 97.5])
    print(f"A model whose probabilities were right would have an ECE of {low:.4f} to {high:.4f}.")


def by_chance(said: Floats, *, draws: int = 500) -> list[float]:
    """Calibration errors of as many images whose classes are drawn as the probabilities say."""
    rng = np.random.default_rng(0)
    reached = said.cumsum(axis=1)
    drawn = [(rng.random((len(said), 1)) > reached).sum(axis=1) for _ in range(draws)]
    last = said.shape[1] - 1
    return [calibration_figures(said, np.minimum(labels, last)).ece for labels in drawn]


def cross_validated(fit: Fit, logits: Floats, labels: Labels, groups: pd.Series) -> float:
    """Mean negative log-likelihood of images whose groups the way was not fitted on."""
    losses = np.zeros(len(labels))
    for learnt, judged in GroupKFold(FOLDS).split(logits, labels, groups):
        said = fit(logits[learnt], labels[learnt])(logits[judged])
        losses[judged] = -np.log(said[np.arange(len(judged)), labels[judged]].clip(LEAST))
    return float(losses.mean())


def nothing(_: Floats, __: Labels) -> Calibrate:
    """The model's own probabilities."""
    return lambda logits: softmax(logits, 1).astype(np.float64)


def temperature(logits: Floats, labels: Labels) -> Calibrate:
    """One number divides all logits."""
    found = fit_temperature(logits, labels)
    return lambda logits: softmax(logits, found).astype(np.float64)


def with_bias(logits: Floats, labels: Labels) -> Calibrate:
    """One factor, and a number added to each class (Alexandari et al., ICML 2020)."""
    return _scaled(logits, labels, factors=1)


def vector(logits: Floats, labels: Labels) -> Calibrate:
    """A factor and an added number for each class (Guo et al., ICML 2017)."""
    return _scaled(logits, labels, factors=logits.shape[1])


def _scaled(logits: Floats, labels: Labels, *, factors: int) -> Calibrate:
    def said(values: Floats, logits: Floats) -> Floats:
        return np.asarray(log_softmax(logits * values[:factors] + values[factors:], axis=1))

    def loss(values: Floats) -> float:
        return float(-said(values, logits)[np.arange(len(labels)), labels].mean())

    start = np.concatenate([np.ones(factors), np.zeros(logits.shape[1])])
    found = minimize(loss, start, method="L-BFGS-B").x
    return lambda logits: np.exp(said(found, logits))


def isotonic(logits: Floats, labels: Labels) -> Calibrate:
    """A rising step function for each class, then made to sum to 1 (Zadrozny and Elkan 2002)."""
    before = softmax(logits, 1)
    steps = [
        IsotonicRegression(y_min=LEAST, y_max=1, out_of_bounds="clip").fit(
            before[:, k], labels == k
        )
        for k in range(logits.shape[1])
    ]

    def calibrate(logits: Floats) -> Floats:
        said = softmax(logits, 1)
        raised = np.stack([step.predict(said[:, k]) for k, step in enumerate(steps)], axis=1)
        return np.asarray(raised / raised.sum(axis=1, keepdims=True), np.float64)

    return calibrate


WAYS: dict[str, Fit] = {
    "none": nothing,
    "temperature": temperature,
    "temperature and bias": with_bias,
    "vector": vector,
    "isotonic, each class": isotonic,
}

if __name__ == "__main__":
    main()

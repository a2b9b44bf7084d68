"""The losses by their papers' formulas, and the optimisers by name."""

from typing import Any

import keras
import numpy as np
import pytest
from numpy.typing import NDArray

from pipelines.training.objective import loss_of, optimizer_of
from tests.pipelines.training.small_sets import candidate

LOGITS = np.array([[2.0, 0.0, -1.0], [0.5, 0.4, 0.3]], np.float32)
SHARES = np.exp(LOGITS) / np.exp(LOGITS).sum(axis=1, keepdims=True)
CERTAIN = np.array([[1, 0, 0], [0, 0, 1]], np.float32)
MIXED = np.array([[0.7, 0.3, 0], [0, 0.4, 0.6]], np.float32)


def loss(targets: NDArray[np.float32], **fields: Any) -> float:
    """The mean over both rows."""
    return float(loss_of(candidate(**fields))(targets, LOGITS))


@pytest.mark.parametrize("targets", [CERTAIN, MIXED])
@pytest.mark.parametrize("gamma", [0.0, 2.0, 5.0])
def test_focal_loss_is_that_of_its_paper(targets: NDArray[np.float32], gamma: float) -> None:
    expected = (-targets * (1 - SHARES) ** gamma * np.log(SHARES)).sum(axis=1).mean()
    assert loss(targets, loss="focal", focal_gamma=gamma) == pytest.approx(expected, rel=1e-4)


def test_focal_loss_looks_away_by_two_unless_said() -> None:
    assert loss(CERTAIN, loss="focal") == loss(CERTAIN, loss="focal", focal_gamma=2.0)


@pytest.mark.parametrize("fields", [{}, {"loss": "focal", "focal_gamma": 0.0}])
def test_smoothed_labels_are_spread_evenly(fields: dict[str, Any]) -> None:
    smoothed = 0.9 * CERTAIN + 0.1 / 3
    expected = (-smoothed * np.log(SHARES)).sum(axis=1).mean()
    assert loss(CERTAIN, label_smoothing=0.1, **fields) == pytest.approx(expected, rel=1e-4)


@pytest.mark.parametrize(
    ("fields", "kind"),
    [
        ({}, keras.optimizers.Adam),
        ({"optimizer": "rmsprop"}, keras.optimizers.RMSprop),
        ({"optimizer": "sgd"}, keras.optimizers.SGD),
    ],
)
def test_the_optimiser_is_the_one_named(fields: dict[str, Any], kind: type) -> None:
    made = optimizer_of(candidate(**fields), 0.25)
    assert float(made.learning_rate) == 0.25
    assert type(made) is kind


@pytest.mark.parametrize(("said", "used"), [(None, 0.9), (0.5, 0.5), (0.0, 0.0)])
def test_momentum_is_nine_tenths_unless_said(said: float | None, used: float) -> None:
    assert optimizer_of(candidate(optimizer="sgd", momentum=said), 0.1).momentum == used

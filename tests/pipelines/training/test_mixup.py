"""Mixed images: means of two, labels and weights by the same shares."""

import numpy as np
import pytest
import tensorflow as tf
from numpy.typing import NDArray

from pipelines.training.mixup import mixup

LABELS = np.arange(12) % 3
TARGETS = np.eye(3, dtype=np.float32)[LABELS]
IMAGES = np.repeat(LABELS * 100, 48).reshape(12, 4, 4, 3).astype(np.float32)
WEIGHTS = (1 + LABELS).astype(np.float32)

Mixed = list[NDArray[np.float32]]


def mixed(alpha: float, seed: tuple[int, int] = (1, 0), batch: int = 6) -> Mixed:
    """Images, targets and weights after mixing."""
    rows = tf.data.Dataset.from_tensor_slices((IMAGES, TARGETS, WEIGHTS)).batch(batch)
    parts = zip(*mixup(rows, alpha, seed=seed).as_numpy_iterator(), strict=True)
    return [np.concatenate(part) for part in parts]


def test_image_target_and_weight_are_mixed_by_the_same_share() -> None:
    images, targets, weights = mixed(0.4)
    shades = images[:, 0, 0, 0]
    assert np.ptp(images.reshape(12, -1), axis=1).max() < 1e-4
    assert targets.sum(axis=1) == pytest.approx(np.ones(12))
    assert targets @ [0, 100, 200] == pytest.approx(shades, abs=1e-3)
    assert targets @ [1, 2, 3] == pytest.approx(weights, abs=1e-5)
    assert ((targets > 0.01).sum(axis=1) == 2).any()


def test_the_partner_is_of_the_same_batch() -> None:
    _, targets, _ = mixed(1.0, batch=2)
    partners = [{(i - i % 2) % 3, (i - i % 2 + 1) % 3} for i in range(12)]
    found = [set(np.flatnonzero(row).tolist()) for row in targets]
    assert all(part <= pair for part, pair in zip(found, partners, strict=True))


@pytest.mark.parametrize(("alpha", "spread"), [(0.1, 0.456), (1.0, 0.289), (4.0, 0.167)])
def test_shares_are_spread_as_the_beta_distribution_is(alpha: float, spread: float) -> None:
    targets = np.tile(np.eye(2, dtype=np.float32), (2000, 1))
    rows = tf.data.Dataset.from_tensor_slices((targets, targets)).batch(4000)
    ((_, found),) = mixup(rows, alpha, seed=(3, 0)).as_numpy_iterator()
    assert found[:, 0].mean() == pytest.approx(0.5, abs=0.03)
    assert found[::2, 0].std() == pytest.approx(spread, abs=0.02)


@pytest.mark.parametrize("seed", [3, 2**31 - 1])
def test_the_draw_is_that_of_seed_epoch_and_batch(seed: int) -> None:
    first = mixed(0.4, (seed, 0))[0]
    assert np.array_equal(mixed(0.4, (seed, 0))[0], first)
    assert not np.array_equal(mixed(0.4, (seed, 1))[0], first)
    assert not np.array_equal(first[:6], first[6:])


def test_nothing_is_mixed_by_zero() -> None:
    assert np.array_equal(mixed(0.0)[0], IMAGES)

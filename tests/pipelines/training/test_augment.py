"""Augmentation keeps range, shape and labels, and is drawn from seed and epoch alone."""

from typing import get_args

import numpy as np
import pytest
import tensorflow as tf
from numpy.typing import NDArray

from pipelines.training.augment import Strength, augment

IMAGES = np.random.default_rng(1).uniform(0, 255, (6, 32, 32, 3)).astype(np.float32)


def changed(
    strength: Strength, seed: tuple[int, int], images: NDArray[np.float32] = IMAGES
) -> NDArray[np.float32]:
    labels = np.arange(len(images), dtype=np.int32)
    batches = tf.data.Dataset.from_tensor_slices((images, labels)).batch(2)
    pairs = list(augment(batches, strength, seed=seed))
    assert np.array_equal(np.concatenate([y.numpy() for _, y in pairs]), labels)
    return np.concatenate([x.numpy() for x, _ in pairs])


@pytest.mark.parametrize("strength", ["light", "strong"])
def test_images_change_and_stay_images(strength: Strength) -> None:
    found = changed(strength, (1, 0))
    assert found.shape == IMAGES.shape
    assert found.dtype == np.float32
    assert found.min() >= 0
    assert found.max() <= 255
    assert all(not np.array_equal(a, b) for a, b in zip(found, IMAGES, strict=True))


def test_none_changes_nothing() -> None:
    assert np.array_equal(changed("none", (1, 0)), IMAGES)


@pytest.mark.parametrize("seed", [3, 20_260_101, 2**31 - 1])
def test_the_draw_is_that_of_seed_and_epoch(seed: int) -> None:
    first = changed("strong", (seed, 0))
    assert np.array_equal(changed("strong", (seed, 0)), first)
    assert not np.array_equal(changed("strong", (seed, 1)), first)
    assert not np.array_equal(changed("strong", (seed - 1, 0)), first)


def test_images_of_one_epoch_change_each_in_its_own_way() -> None:
    same = np.repeat(IMAGES[:1], 6, axis=0)
    found = changed("light", (1, 0), same)
    assert len({image.tobytes() for image in found}) == 6


def test_a_light_change_keeps_what_stands_in_the_middle() -> None:
    images = np.zeros((8, 64, 64, 3), np.float32)
    images[:, 24:40, 24:40] = 200
    found = changed("light", (5, 0), images)
    assert found[:, 29:35, 29:35].mean() > 150
    assert found[:, :8, :8].mean() < 30


def test_mirrored_images_come_both_ways() -> None:
    images = np.zeros((40, 32, 32, 3), np.float32)
    images[:, :, :12] = 255
    left = changed("light", (2, 0), images)[:, 8:24, :8].mean(axis=(1, 2, 3)) > 128
    assert 5 < left.sum() < 35


def test_every_strength_of_the_spec_is_known() -> None:
    from pipelines.spec import CandidateSpec

    assert get_args(Strength) == get_args(CandidateSpec.model_fields["augment"].annotation)

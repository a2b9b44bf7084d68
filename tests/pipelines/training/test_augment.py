"""Augmentation keeps range, shape and labels, and is drawn from seed and epoch alone."""

from dataclasses import replace
from typing import Any, get_args

import numpy as np
import pytest
import tensorflow as tf
from numpy.typing import NDArray

from pipelines.training.augment import RANGES, Ranges, Strength, augment

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


def test_images_without_an_upright_pose_are_turned_by_quarters_all_alike_often() -> None:
    images = np.zeros((200, 32, 32, 3), np.float32)
    images[:, :8, 12:20] = 200  # at the top
    batches = tf.data.Dataset.from_tensor_slices((images, np.zeros(200, np.int32))).batch(50)
    turned = augment(batches, "light", seed=(1, 0), orientation="any")
    found = np.concatenate([image.numpy() for image, _ in turned])
    edges = [found[:, :8], found[:, -8:], found[:, :, :8], found[:, :, -8:]]
    where = np.argmax([edge.mean(axis=(1, 2, 3)) for edge in edges], axis=0)
    assert np.bincount(where, minlength=4).min() > 30
    upright = changed("light", (1, 0), images)
    assert upright[:, :8].mean() > 10 * upright[:, -8:].mean()


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


STILL = Ranges(0, 0, 0, 0, 0)


def changed_by(
    monkeypatch: pytest.MonkeyPatch, images: NDArray[np.float32], **one: Any
) -> NDArray[np.float32]:
    """Images after one kind of change, mirrored ones turned back."""
    monkeypatch.setitem(RANGES, "strong", replace(STILL, **one))
    found = changed("strong", (4, 0), images)
    turned = found[:, :, ::-1]
    closer = [np.abs(one - images).mean(axis=(1, 2, 3)) for one in (found, turned)]
    return np.where((closer[0] < closer[1])[:, None, None, None], found, turned)


RAMP = np.tile(np.linspace(0, 255, 64, dtype=np.float32)[None, None, :, None], (16, 64, 1, 3))


@pytest.mark.parametrize("change", [{"gamma": 0.35}, {"tones": 0.5}])
def test_tones_bend_and_keep_their_order_and_ends(
    monkeypatch: pytest.MonkeyPatch, change: dict[str, float]
) -> None:
    found = changed_by(monkeypatch, RAMP, **change)
    steps = np.diff(found[:, 0, :, 0], axis=1)
    assert steps.min() >= 0
    assert found[:, :, 0].max() < 1
    assert found[:, :, -1].min() > 254
    middles = found[:, 0, 32, 0]
    assert middles.min() < 120 < 140 < middles.max()


def test_pictures_get_sharper_and_softer(monkeypatch: pytest.MonkeyPatch) -> None:
    images = np.zeros((16, 32, 32, 3), np.float32) + 100
    images[:, :, 15:] += 50
    found = changed_by(monkeypatch, images, blur=0.9)
    edges = found[:, 16].max(axis=(1, 2)) - found[:, 16].min(axis=(1, 2))
    slopes = np.abs(np.diff(found[:, 16, :, 0], axis=1)).max(axis=1)
    assert edges.max() > 55
    assert slopes.min() < 40


def test_packing_leaves_the_picture_and_loses_what_jpeg_loses(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    smooth = RAMP * 0.9 + 5
    found = changed_by(monkeypatch, smooth, compression=(35, 100))
    off = np.abs(found - smooth).mean(axis=(1, 2, 3))
    assert off.min() > 0
    assert off.max() < 4
    assert np.ptp(off) > 0.05
    assert np.array_equal(found, np.round(found))


def test_noise_is_of_another_strength_in_each_image(monkeypatch: pytest.MonkeyPatch) -> None:
    found = changed_by(monkeypatch, np.full((16, 32, 32, 3), 128, np.float32), noise=8)
    strengths = found.std(axis=(1, 2, 3))
    assert strengths.min() < 3
    assert 5 < strengths.max() < 9
    assert found.mean() == pytest.approx(128, abs=1)
    assert len({(image - 128 > 0).tobytes() for image in found}) == 16


def test_a_square_is_hidden_in_each_image_at_a_place_of_its_own(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    found = changed_by(monkeypatch, np.full((16, 32, 32, 3), 128, np.float32), cutout=0.25)
    shares = (found == 0).mean(axis=(1, 2, 3))
    assert shares.min() > 0
    assert shares.max() <= 0.08
    assert len({image.tobytes() for image in found}) > 12

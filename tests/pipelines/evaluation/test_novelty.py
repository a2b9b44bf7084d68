"""Images of another kind are far from the training images, and those of the same kind are not."""

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from pipelines.evaluation.novelty import Novelty, fit_novelty, pool, unit

CHANNELS = 200
RANK = 12
FALSE_ALARMS = 0.05

Floats = NDArray[np.float32]


def like(seed: int, images: int, *, kind: int = 0) -> Floats:
    """Pooled features of images of a kind: they vary along a few directions of its own."""
    shape = np.random.default_rng(100 + kind)
    directions, centre = shape.normal(size=(RANK, CHANNELS)), 3 + shape.uniform(size=CHANNELS)
    random = np.random.default_rng(seed)
    varied = centre + 0.3 * random.normal(size=(images, RANK)) @ directions
    return np.asarray(varied + 0.05 * random.normal(size=varied.shape), np.float32)


@pytest.fixture(scope="module")
def novelty() -> Novelty:
    """What is known of images of kind 0."""
    batches = (like(seed, 100) for seed in range(20))
    return fit_novelty(batches, like(50, 1000), false_alarms=FALSE_ALARMS)


def test_images_of_the_same_kind_are_within_the_limit_but_for_the_false_alarms(
    novelty: Novelty,
) -> None:
    beyond = (novelty.distances(like(51, 4000)) > novelty.limit).mean()

    assert beyond == pytest.approx(FALSE_ALARMS, abs=0.02)


def test_images_of_another_kind_are_beyond_it(novelty: Novelty) -> None:
    assert (novelty.distances(like(52, 500, kind=1)) > 3 * novelty.limit).all()


def test_a_direction_the_training_images_never_vary_in_counts(novelty: Novelty) -> None:
    odd = like(53, 50)
    odd[:, 7] += 3

    assert (novelty.distances(odd) > novelty.limit).all()


def test_how_strong_the_features_are_does_not_count(novelty: Novelty) -> None:
    seen = like(54, 10)

    assert novelty.distances(5 * seen) == pytest.approx(novelty.distances(seen), rel=1e-2)


def test_the_distance_is_the_gaussians_own() -> None:
    """Where every axis is kept but one: the textbook's formula."""
    random = np.random.default_rng(1)
    seen = (5 + random.normal(size=(500, 6)) @ random.normal(size=(6, 6))).astype(np.float32)
    vectors = unit(seen).astype(np.float64)
    covariance = np.cov(vectors, rowvar=False, bias=True)
    centred = vectors - vectors.mean(axis=0)
    expected = np.sqrt((centred @ np.linalg.inv(covariance) * centred).sum(axis=1))

    found = fit_novelty([seen], seen, false_alarms=0.1).distances(seen)

    assert found == pytest.approx(expected, rel=0.02)


def test_it_does_not_matter_in_what_batches_the_images_came() -> None:
    seen = like(1, 300)
    whole = fit_novelty([seen], seen, false_alarms=0.1)

    parts = fit_novelty([seen[:7], seen[7:250], seen[250:]], seen, false_alarms=0.1)

    assert parts.limit == pytest.approx(whole.limit, rel=1e-3)


def test_feature_maps_are_told_as_multiples_of_the_limit(novelty: Novelty) -> None:
    features = np.random.default_rng(2).uniform(0, 2, (3, 5, 4, CHANNELS)).astype(np.float32)

    distances = novelty.distances(features.mean(axis=(1, 2)))

    assert novelty.unlikeness(features) == pytest.approx(distances / novelty.limit, rel=1e-4)
    assert pool(features) == pytest.approx(features.mean(axis=(1, 2)), rel=1e-5)


@pytest.mark.parametrize("features", [np.zeros((2, 2, CHANNELS)), np.full((2, 2, CHANNELS), 1e9)])
def test_dead_and_huge_features_are_far_and_a_number(novelty: Novelty, features: Floats) -> None:
    [unlikeness] = novelty.unlikeness(features[None].astype(np.float32))

    assert np.isfinite(unlikeness)
    assert unlikeness > 1


def test_features_that_never_vary_raise_no_alarm_on_their_own_kind() -> None:
    same = np.ones((50, 4), np.float32)

    novelty = fit_novelty([same], same, false_alarms=0.01)

    assert (novelty.distances(3 * same) < novelty.limit).all()
    assert novelty.distances(np.array([[1, 0, 0, 0]], np.float32))[0] > novelty.limit


def test_it_is_read_as_it_was_saved(novelty: Novelty, tmp_path: Path) -> None:
    novelty.save(tmp_path / "novelty.npz")

    read = Novelty.load(tmp_path / "novelty.npz")

    seen = like(55, 20)
    assert read.distances(seen).tolist() == novelty.distances(seen).tolist()
    assert read.limit == novelty.limit
    assert (tmp_path / "novelty.npz").stat().st_size < 100_000


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_one_image_with_features_that_are_not_finite_spoils_no_other(bad: float) -> None:
    training, validation = like(1, 300), like(2, 200)
    whole = fit_novelty([training], validation, false_alarms=FALSE_ALARMS)
    broken = np.full((1, CHANNELS), bad, np.float32)
    fitted = fit_novelty(
        [np.concatenate([training, broken])],
        np.concatenate([broken, validation]),
        false_alarms=FALSE_ALARMS,
    )
    assert np.isfinite(fitted.limit)
    assert fitted.limit == pytest.approx(whole.limit)
    assert fitted.distances(np.concatenate([validation[:1], broken]))[1] > fitted.limit

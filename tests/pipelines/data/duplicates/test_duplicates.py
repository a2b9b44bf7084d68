import tracemalloc
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter, shift

from pipelines import imaging
from pipelines.data.duplicates import duplicates
from pipelines.data.duplicates.descriptors import POSES, normalised, posed_hashes
from pipelines.data.duplicates.duplicates import near_pairs
from pipelines.spec import DuplicatesSpec
from tests.pipelines.data.landing_folders import drawing

RULE = DuplicatesSpec(hash_distance=12, correlation=0.94)
Picture = NDArray[np.uint8]


def thumbnails(*pictures: Picture) -> Picture:
    colour = [np.repeat(picture[..., None], 3, axis=2) for picture in pictures]
    flat = [np.frombuffer(imaging.thumbnail(picture), np.uint8) for picture in colour]
    return np.stack(flat).reshape(-1, 32, 32)


def clipped(values: NDArray[Any]) -> Picture:
    return np.asarray(np.clip(values, 0, 255), np.uint8)


def sharpened(picture: Picture) -> Picture:
    return clipped(picture + 2.0 * (picture - gaussian_filter(picture.astype(float), 2)))


CHANGES = {
    "brighter": lambda p: clipped(p * 1.4 + 15.0),
    "darker": lambda p: clipped(255 * (p / 255.0) ** 1.6),
    "sharpened": sharpened,
    "softened": lambda p: clipped(gaussian_filter(p.astype(float), 1)),
    "noisy": lambda p: clipped(p + np.random.default_rng(0).normal(0, 6, p.shape)),
    "smaller": lambda p: p[::2, ::2],
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
@pytest.mark.parametrize("seed", range(3))
def test_a_picture_that_was_only_processed_is_found(change: Any, seed: int) -> None:
    original = drawing(seed, side=128)
    found = near_pairs(thumbnails(original, drawing(99, side=128), change(original)), RULE)
    assert found[["first", "second", "pose"]].to_numpy().tolist() == [[0, 2, "same"]]


@pytest.mark.parametrize(("pose", "steps"), POSES.items())
def test_a_copy_is_found_in_every_pose(pose: str, steps: tuple[int, int]) -> None:
    original = drawing(1)
    copy = clipped(original[:: steps[0], :: steps[1]] * 0.9)
    (pair,) = near_pairs(thumbnails(original, copy), RULE).to_dict("records")
    assert pair["pose"] == pose
    assert pair["correlation"] > 0.99


def test_pictures_that_merely_look_alike_are_not_merged() -> None:
    """Like slices of one head: the same at first sight, other in what matters."""

    def coarse(seed: int) -> NDArray[np.float64]:
        return np.asarray(gaussian_filter(drawing(seed, side=128).astype(float), 10))

    def fine(seed: int) -> NDArray[np.float64]:
        return drawing(seed, side=128) - coarse(seed)

    alike = thumbnails(*[clipped(coarse(0) + 0.25 * fine(seed)) for seed in range(1, 7)])
    hashes = posed_hashes(alike)[:, 0]
    distance = np.bitwise_count(hashes[:, None] ^ hashes[None, :])[np.triu_indices(6, 1)]
    assert (distance <= RULE.hash_distance).sum() >= 5, "or this shows nothing"
    assert near_pairs(alike, RULE).empty


def test_a_slice_moved_on_by_a_little_is_another_picture() -> None:
    one = drawing(1, side=128)
    other = clipped(0.75 * one + 0.25 * drawing(2, side=128))
    moved = clipped(shift(one.astype(float), (6, 0), mode="nearest"))
    assert near_pairs(thumbnails(one, other), RULE).empty
    assert near_pairs(thumbnails(one, moved), RULE).empty


@pytest.mark.parametrize("known", [0, 25, 60])
def test_no_pair_within_the_distance_is_missed(monkeypatch: pytest.MonkeyPatch, known: int) -> None:
    noise = np.random.default_rng(0)
    hashes = noise.integers(0, 1 << 63, (60, 4), dtype=np.uint64)
    hashes[40:] = hashes[:20] ^ np.uint64(0b1011)
    new = noise.permutation(60) >= known
    monkeypatch.setattr(duplicates, "BLOCK_PAIRS", 150)
    monkeypatch.setattr(duplicates, "posed_hashes", lambda _: hashes)
    found = [
        (int(i), int(j), int(pose))
        for firsts, seconds, poses in duplicates.all_candidates(
            np.zeros((60, 32, 32), np.uint8), new, distance=26
        )
        for i, j, pose in zip(firsts, seconds, poses, strict=True)
    ]
    expected = {
        (i, j, pose)
        for i in range(60)
        for j in range(i + 1, 60)
        for pose in range(4)
        if (int(hashes[i, 0]) ^ int(hashes[j, pose])).bit_count() <= 26 and (new[i] or new[j])
    }
    assert set(found) == expected
    assert len(found) == len(expected), "a pair was compared twice"
    assert len(expected) > 20 or known == 60


def test_the_hash_of_a_pose_is_the_one_of_the_turned_picture() -> None:
    ramp = np.tile(np.arange(0, 256, 4, dtype=np.uint8), (64, 1))
    pictures = [*(drawing(seed) for seed in range(5)), ramp, ramp.T, ramp // 2 + ramp.T // 2]
    for pose, (rows, columns) in POSES.items():
        turned = posed_hashes(thumbnails(*(picture[::rows, ::columns] for picture in pictures)))
        number = list(POSES).index(pose)
        assert posed_hashes(thumbnails(*pictures))[:, number].tolist() == turned[:, 0].tolist()


def test_a_flat_picture_is_like_no_other() -> None:
    flat = np.full((64, 64), 9, np.uint8)
    assert np.isfinite(normalised(thumbnails(flat))).all()
    assert near_pairs(thumbnails(flat, drawing(1), flat), RULE).empty


@pytest.mark.parametrize("count", [0, 1])
def test_too_few_pictures_make_no_pair(count: int) -> None:
    few = np.zeros((count, 32, 32), np.uint8)
    assert near_pairs(few, RULE).empty


def test_memory_hardly_grows_with_the_number_of_thumbnails() -> None:
    many = np.random.default_rng(1).integers(0, 256, (16_384, 32, 32), np.uint8)

    def largest(transform: Callable[[Picture], Any]) -> float:
        tracemalloc.start()
        try:
            transform(many)
            return tracemalloc.get_traced_memory()[1] / 1e6
        finally:
            tracemalloc.stop()

    assert largest(posed_hashes) < 100, "as float64, all together take 134 MB"
    assert largest(normalised) < 150, "67 MB are the result"

"""The banded search, held against the exact one."""

import numpy as np
import pandas as pd
import pytest
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter

from pipelines.data.duplicates import banded, buckets, duplicates
from pipelines.data.duplicates.banded import LARGEST, Bands, bands_for, signatures
from pipelines.data.duplicates.buckets import Buckets, Rows
from pipelines.data.duplicates.descriptors import POSES, normalised
from pipelines.data.duplicates.duplicates import near_pairs
from pipelines.spec import DuplicatesSpec

RULE = DuplicatesSpec()
Thumbnails = NDArray[np.uint8]


def collection(originals: int, copies: int, seed: int = 0) -> Thumbnails:
    """Different images, and noisy copies of the first ones in all poses."""
    noise = np.random.default_rng(seed)
    images = gaussian_filter(noise.normal(0, 1, (originals, 32, 32)), (0, 1.5, 1.5))
    copied = images[:copies] * 0.8 + noise.normal(0, 0.025, (copies, 32, 32))
    for number, (rows, columns) in enumerate(POSES.values()):
        copied[number::4] = copied[number::4, ::rows, ::columns]
    both = np.concatenate([images, copied])
    return np.asarray(np.clip(128 + 150 * both, 0, 255), np.uint8)


def keys(pairs: pd.DataFrame) -> set[tuple[int, int, str]]:
    return set(pairs[["first", "second", "pose"]].itertuples(index=False, name=None))


@pytest.fixture
def banded_only(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(duplicates, "ALL_PAIRS_UP_TO", 0)


def test_the_banded_search_finds_what_the_exact_one_finds(monkeypatch: pytest.MonkeyPatch) -> None:
    thumbnails = collection(600, 300)
    exact = near_pairs(thumbnails, RULE)
    monkeypatch.setattr(duplicates, "ALL_PAIRS_UP_TO", 0)
    found = near_pairs(thumbnails, RULE)
    assert len(exact) > 200
    assert exact["correlation"].lt(0.95).sum() > 30, "or the hard ones are not among them"
    assert keys(found) <= keys(exact), "never a pair that the rule does not name"
    assert len(found) >= 0.98 * len(exact)
    assert set(found["pose"]) == set(POSES)
    both = exact.merge(found, on=["first", "second", "pose"])
    assert np.allclose(both["correlation_x"], both["correlation_y"], atol=1e-5)
    assert (both["distance_x"] == both["distance_y"]).all()


def test_few_images_are_compared_exactly(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(banded, "candidates")
    assert len(near_pairs(collection(20, 8), RULE)) > 5
    assert duplicates.ALL_PAIRS_UP_TO == 50_000


@pytest.mark.parametrize("known", [0, 150, 450])
@pytest.mark.usefixtures("banded_only")
def test_two_deliveries_find_what_one_finds(known: int) -> None:
    thumbnails = collection(300, 150)
    new = np.random.default_rng(1).permutation(len(thumbnails)) >= known
    before = np.flatnonzero(~new)
    earlier = near_pairs(thumbnails[before], RULE)
    earlier["first"], earlier["second"] = before[earlier["first"]], before[earlier["second"]]
    later = near_pairs(thumbnails, RULE, new=new)
    assert not (~new[later["first"]] & ~new[later["second"]]).any()
    assert keys(earlier) | keys(later) == keys(near_pairs(thumbnails, RULE))
    assert len(later) > 0 or known == 450


def test_a_turned_image_has_the_same_signature_with_its_tables_exchanged() -> None:
    pictures = normalised(collection(50, 0))
    bands = Bands(16, 3)
    signed = signatures(pictures, bands)
    for pose, (rows, columns) in enumerate(POSES.values()):
        turned = signatures(pictures[:, ::rows, ::columns], bands)
        exchanged = signed[:, :, [table ^ pose for table in range(4)]]
        # Sums in another order can turn a sign where a projection is almost zero.
        assert (turned == exchanged).mean() > 0.99


def test_signs_agree_as_often_as_computed() -> None:
    noise = np.random.default_rng(0)
    first = noise.normal(size=(400, 32, 32))
    second = 0.94 * first + np.sqrt(1 - 0.94**2) * noise.normal(size=first.shape)
    one, other = (signatures(side.astype(np.float32), Bands(16, 6)) for side in (first, second))
    differing = np.bitwise_count(one ^ other).mean() / 16
    assert differing == pytest.approx(np.arccos(0.94) / np.pi, abs=0.005)


@pytest.mark.parametrize("images", [1_000_000, 10_000_000, 100_000_000])
def test_bands_grow_with_the_collection(images: int) -> None:
    bands = bands_for(images)
    tables = 4 * bands.table_groups
    agree = (1 - np.arccos(0.94) / np.pi) ** bands.bits
    assert 1 - (1 - agree) ** tables > 0.98
    assert images * tables / 2**bands.bits < 400
    assert bands_for(images * 100) == LARGEST


def rows(bucket: list[int], salt: list[int], new: list[bool] | None = None) -> Rows:
    count = len(bucket)
    return Rows(
        bucket=np.array(bucket, np.int64),
        salt=np.array(salt, np.uint32),
        pose=np.zeros(count, np.uint8),
        image=np.arange(count),
        new=np.array(new or [True] * count, np.bool_),
    )


def met(made: Buckets, count: int) -> list[tuple[int, int]]:
    found = made.matches(np.zeros((count, 4), np.uint64), 0)
    return [
        pair for one, other, _ in found for pair in zip(one.tolist(), other.tolist(), strict=True)
    ]


def test_images_of_one_bucket_meet_once_unless_both_are_known(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(buckets, "BLOCK_PAIRS", 2)
    monkeypatch.setattr(buckets, "MAX_ROWS", 2)
    made = Buckets(rows([7, 5, 7, 5, 9], [0] * 5, [False, True, True, False, True]))
    assert sorted(met(made, 5)) == [(0, 2), (1, 3)]
    assert met(Buckets(rows([7, 7], [0, 0], [False, False])), 2) == []
    assert met(Buckets(rows([], [])), 0) == []


def test_an_overfull_bucket_is_divided_by_its_salt_and_counted(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(buckets, "MAX_ROWS", 3)
    made = Buckets(rows([1] * 6 + [2] * 3, [0, 1, 0, 1, 0, 1, 0, 1, 0]))
    assert sorted(met(made, 9)) == [
        *((0, 2), (0, 4), (1, 3), (1, 5), (2, 4), (3, 5)),
        *((6, 7), (6, 8), (7, 8)),
    ]
    assert made.load == buckets.Load(overfull=1, capped=0)


def test_a_thousand_copies_of_one_image_still_hang_together(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(buckets, "MAX_ROWS", 3)
    made = Buckets(rows([1] * 1000, [5] * 1000))
    pairs = met(made, 1000)
    assert len(pairs) == 1 + 2 + 997 * 3
    assert {later for _, later in pairs} == set(range(1, 1000))
    assert {first for first, _ in pairs} == {0, 1, 2}
    assert made.load == buckets.Load(overfull=1, capped=996)


@pytest.mark.usefixtures("banded_only")
def test_overfull_buckets_are_reported(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(buckets, "MAX_ROWS", 3)
    copies = np.repeat(collection(1, 0), 12, axis=0)
    assert len(near_pairs(copies, RULE)) >= 11
    assert "overfull" in caplog.text


@pytest.mark.usefixtures("banded_only")
def test_flat_images_resemble_none() -> None:
    flat = np.full((30, 32, 32), 9, np.uint8)
    assert near_pairs(np.concatenate([flat, collection(4, 0)]), RULE).empty
    assert near_pairs(flat[:0], RULE).empty

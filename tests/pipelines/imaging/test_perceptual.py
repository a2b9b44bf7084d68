"""What a picture looks like, in a few bytes."""

import imagehash
import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from pipelines.data.duplicates.descriptors import posed_hashes, stacked
from pipelines.imaging import decode, thumbnail
from tests.pipelines.imaging.pictures import colours, file_of

PICTURE = colours(200, 240)


def phash(picture: NDArray[np.uint8]) -> int:
    return int(posed_hashes(stacked([thumbnail(picture)]))[0, 0])


def apart(one: int, other: int) -> int:
    return (one ^ other).bit_count()


def test_the_hash_has_64_bits_about_half_of_them_set() -> None:
    found = phash(PICTURE)
    assert 0 <= found < 2**64
    assert found.bit_count() == 32


@pytest.mark.parametrize(
    "copy",
    [
        decode(file_of(PICTURE, "JPEG", quality=60)),
        np.asarray(Image.fromarray(PICTURE).resize((150, 130))),
        np.asarray(Image.fromarray(PICTURE).resize((500, 400))),
        (PICTURE * 0.8 + 10).astype(np.uint8),
    ],
    ids=["compressed", "smaller", "larger", "dimmer"],
)
def test_copies_are_close_to_the_original(copy: NDArray[np.uint8]) -> None:
    assert apart(phash(PICTURE), phash(copy)) <= 4


def test_other_pictures_are_far() -> None:
    distances = [apart(phash(PICTURE), phash(colours(200, 240, seed=k))) for k in range(1, 20)]
    assert min(distances) > 12
    assert 26 < np.mean(distances) < 38


def test_the_hash_agrees_with_the_one_of_the_field() -> None:
    for seed in range(10):
        picture = colours(200, 240, seed=seed)
        theirs = int(str(imagehash.phash(Image.fromarray(picture))), 16)
        assert apart(phash(picture), theirs) <= 6  # they shrink with another filter


def test_a_flat_picture_has_a_stable_hash() -> None:
    assert {phash(np.full((n, n, 3), 77, np.uint8)) for n in (32, 50, 333)} == {1 << 63}


@pytest.mark.parametrize("seed", range(5))
def test_rounding_decides_no_bit_of_a_symmetric_picture(seed: int) -> None:
    half = colours(96, 48, seed=seed)
    symmetric = np.concatenate([half, half[:, ::-1]], axis=1)
    # a symmetric picture has no odd frequencies across, so all their bits are alike
    odd = int("01010101" * 8, 2)
    assert phash(symmetric) & odd in (0, odd)


def test_the_thumbnail_is_the_picture_in_1024_greys() -> None:
    halves = np.zeros((100, 100, 3), np.uint8)
    halves[:, 50:] = [255, 255, 255]
    small = np.frombuffer(thumbnail(halves), np.uint8).reshape(32, 32)
    assert (small[:, :16] == 0).all()
    assert (small[:, 16:] == 255).all()
    assert len(thumbnail(PICTURE)) == 1024

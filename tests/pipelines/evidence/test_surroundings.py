"""What is seen where no body is, and pictures with a part taken out."""

import numpy as np
import pytest
from numpy.typing import NDArray

from pipelines.evidence.surroundings import (
    describe_background,
    describe_frame,
    without_background,
    without_body,
)

SIZE = 64


def scan(*, background: int = 0, noise: float = 0.0, body: int = 180) -> NDArray[np.uint8]:
    """A disc on a dark background."""
    rows, columns = np.mgrid[:SIZE, :SIZE]
    disc = (rows - 32) ** 2 + (columns - 32) ** 2 < 20**2
    shades = np.where(disc, body, background) + noise * np.random.default_rng(1).random(
        (SIZE, SIZE)
    )
    return np.repeat(shades[..., None], 3, axis=2).astype(np.uint8)


def test_the_frame_is_described_whatever_the_body_shows() -> None:
    np.testing.assert_array_equal(describe_frame(scan(body=180)), describe_frame(scan(body=90)))
    assert (describe_frame(scan(background=9)) != describe_frame(scan())).any()


def test_the_background_is_described_whatever_the_body_shows() -> None:
    same = [describe_background(scan(body=body)) for body in (180, 190)]
    assert same[0] is not None
    np.testing.assert_array_equal(same[0], same[1])
    noisy = describe_background(scan(noise=9))
    assert noisy is not None
    assert not np.array_equal(noisy, same[0])


def test_a_picture_without_background_tells_nothing() -> None:
    full = np.full((SIZE, SIZE, 3), 200, np.uint8)
    assert describe_background(full) is None
    assert without_body(full) is None


def test_without_background_the_body_stays() -> None:
    picture = scan(background=9)
    cut = without_background(picture)
    assert not cut[0, 0].any()
    assert cut[32, 32] == pytest.approx(picture[32, 32])


def test_without_body_only_the_background_stays() -> None:
    emptied = without_body(scan(background=9))
    assert emptied is not None
    assert (emptied == 9).all()

"""Where the body is."""

import numpy as np
from numpy.typing import NDArray

from pipelines.imaging.body import body_box, body_mask


def scan(top: int, bottom: int, left: int, right: int) -> NDArray[np.uint8]:
    """A bright body in a dark, slightly noisy picture of 200 x 300."""
    picture = np.random.default_rng(0).integers(0, 8, (200, 300, 3), np.uint8)
    picture[top:bottom, left:right] = 150
    return picture


def test_the_box_holds_the_body_and_a_margin() -> None:
    assert body_box(scan(40, 160, 60, 240)) == (36, 164, 54, 246)


def test_the_margin_ends_at_the_edge() -> None:
    assert body_box(scan(0, 200, 0, 240)) == (0, 200, 0, 246)


def test_specks_and_letters_at_the_border_are_not_body() -> None:
    picture = scan(40, 160, 60, 240)
    picture[5, 5] = picture[190, 290] = 255
    picture[2:5, 280:283] = 255
    assert body_box(picture) == (36, 164, 54, 246)


def test_a_dim_body_counts_as_much_as_a_bright_one() -> None:
    dim = (scan(40, 160, 60, 240) // 5).astype(np.uint8)
    assert body_box(dim) == body_box(scan(40, 160, 60, 240))


def test_a_picture_without_border_or_content_stays_whole() -> None:
    for shade in (0, 255):
        picture = np.full((50, 70, 3), shade, np.uint8)
        assert body_box(picture) == (0, 50, 0, 70)


def test_the_mask_holds_dark_insides_and_no_letters() -> None:
    picture = scan(40, 160, 60, 240)
    picture[80:120, 100:140] = 0
    picture[5:15, 270:280] = 255
    mask = body_mask(picture)
    expected = np.zeros((200, 300), np.bool_)
    expected[40:160, 60:240] = True
    assert (mask == expected).all()


def test_the_mask_spans_a_body_in_two_parts() -> None:
    picture = scan(40, 160, 60, 100)
    picture[40:160, 200:240] = 150
    assert body_mask(picture)[100, 150]


def test_the_mask_of_a_picture_without_content_is_all_of_it() -> None:
    for shade in (0, 255):
        assert body_mask(np.full((50, 70, 3), shade, np.uint8)).all()

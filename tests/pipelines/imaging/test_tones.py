"""Taking away what tells a picture's source: background, tones, colour."""

import io
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from pipelines.imaging import decode, fit
from pipelines.imaging.body import body_mask
from pipelines.imaging.tones import grey, normalise
from pipelines.spec import ImageSpec
from tests.pipelines.imaging.pictures import colours

SIZE = 96


def scan(*, letters: bool = False, tone: Any = None) -> NDArray[np.uint8]:
    """A bright, structured disc on black, perhaps with letters in a corner, in other tones."""
    rows, columns = np.mgrid[:SIZE, :SIZE]
    disc = (rows - 48) ** 2 + (columns - 48) ** 2 < 36**2
    shades = 60 + colours(SIZE, SIZE)[..., 0] // 2
    picture = np.where(disc, shades, 0).astype(np.uint8)
    if letters:
        picture[2:8, 2:20] = 255
    if tone is not None:
        picture = tone(picture.astype(np.float64)).clip(0, 255).astype(np.uint8)
    return np.repeat(picture[..., None], 3, axis=2)


def spec(**fields: str) -> ImageSpec:
    return ImageSpec.model_validate({"size": SIZE} | fields)


def test_a_spec_that_says_nothing_changes_nothing() -> None:
    np.testing.assert_array_equal(fit(colours(SIZE, SIZE), spec()), colours(SIZE, SIZE))


def test_masking_takes_letters_away_and_leaves_the_body() -> None:
    plain, written = scan(), scan(letters=True)
    assert (fit(written, spec()) != fit(plain, spec())).any()
    masked = fit(written, spec(background="mask"))
    np.testing.assert_array_equal(masked, fit(plain, spec(background="mask")))
    body = body_mask(written)
    np.testing.assert_array_equal(masked[body], written[body])
    assert not masked[~body].any()


@pytest.mark.parametrize(
    "tone", [lambda grey: grey * 0.6, lambda grey: grey * 1.2 + 5, lambda grey: grey * 0.8 + 8]
)
def test_normalising_makes_one_of_a_picture_in_several_tones(tone: Any) -> None:
    apart = np.abs(fit(scan(tone=tone), spec()).astype(int) - fit(scan(), spec())).mean()
    both = spec(intensity="normalise", background="mask")
    together = np.abs(fit(scan(tone=tone), both).astype(int) - fit(scan(), both)).mean()
    assert together < 2 < apart


def test_the_bodys_percentiles_become_black_and_white() -> None:
    ramp = np.repeat(np.linspace(50, 150, 101, dtype=np.uint8)[None, :, None], 3, axis=2)
    ramp = np.repeat(ramp, 40, axis=0)
    stretched = normalise(ramp, np.ones(ramp.shape[:2], np.bool_))
    assert (stretched.min(), stretched.max()) == (0, 255)
    assert stretched[0, 1, 0] == 0
    assert stretched[0, 99, 0] == 255
    assert stretched[0, 50, 0] == pytest.approx(127.5, abs=1)
    assert (np.diff(stretched[0, :, 0].astype(int)) >= 0).all()


def test_a_body_of_one_shade_is_left_as_it_is() -> None:
    flat = np.full((40, 40, 3), 90, np.uint8)
    np.testing.assert_array_equal(normalise(flat, np.ones((40, 40), np.bool_)), flat)


def test_colours_keep_their_order_when_tones_are_stretched() -> None:
    picture = np.full((40, 40, 3), (90, 60, 30), np.uint8)
    picture[:20] = (150, 120, 90)
    stretched = normalise(picture, np.ones((40, 40), np.bool_))
    assert (stretched[..., 0] >= stretched[..., 1]).all()
    assert (stretched[..., 1] >= stretched[..., 2]).all()


def test_grey_takes_a_tint_away() -> None:
    tinted = fit(colours(SIZE, SIZE), spec(colour="grey"))
    assert (np.ptp(tinted, axis=2) == 0).all()
    np.testing.assert_array_equal(grey(tinted), tinted)


def test_the_service_and_training_see_the_same_pixels() -> None:
    file = io.BytesIO()
    Image.fromarray(scan(letters=True)).save(file, "PNG")
    asked = spec(background="mask", intensity="normalise", colour="grey")
    one, two = (fit(decode(file.getvalue()), asked) for _ in range(2))
    np.testing.assert_array_equal(one, two)
    assert one.dtype == np.uint8


def test_the_input_is_not_changed() -> None:
    picture = scan(letters=True)
    before = picture.copy()
    fit(picture, spec(background="mask", intensity="normalise", colour="grey"))[:] = 7
    np.testing.assert_array_equal(picture, before)

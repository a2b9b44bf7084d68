"""Pictures to the model's square."""

import hashlib
import subprocess
import sys

import numpy as np
import pytest

from pipelines.imaging import fit
from pipelines.spec import ImageSpec
from tests.pipelines.imaging.pictures import colours

WIDE = colours(60, 120)


@pytest.mark.parametrize("resize", ["stretch", "pad"])
@pytest.mark.parametrize("crop", ["none", "body"])
@pytest.mark.parametrize("shape", [(32, 32), (33, 201), (500, 40), (160, 160)])
def test_every_picture_becomes_the_square(shape: tuple[int, int], crop: str, resize: str) -> None:
    spec = ImageSpec.model_validate({"size": 96, "crop": crop, "resize": resize})
    fitted = fit(colours(*shape), spec)
    assert fitted.shape == (96, 96, 3)
    assert fitted.dtype == np.uint8


def test_the_right_size_is_left_as_it_is() -> None:
    picture = colours(64, 64)
    fitted = fit(picture, ImageSpec(size=64))
    np.testing.assert_array_equal(fitted, picture)
    fitted[:] = 0
    np.testing.assert_array_equal(picture, colours(64, 64))


def test_padding_keeps_the_aspect_ratio_and_is_black() -> None:
    fitted = fit(np.full((60, 120, 3), 200, np.uint8), ImageSpec(size=64, resize="pad"))
    assert not fitted[:16].any()
    assert not fitted[48:].any()
    assert (fitted[16:48] == 200).all()


def test_stretching_fills_the_square() -> None:
    assert (fit(np.full((60, 120, 3), 200, np.uint8), ImageSpec(size=64)) == 200).all()


def test_a_fine_pattern_becomes_grey_instead_of_stripes() -> None:
    stripes = np.zeros((256, 256, 3), np.uint8)
    stripes[:, ::2] = 255
    inner = fit(stripes, ImageSpec(size=32))[2:-2, 2:-2]
    assert abs(inner.mean() - 127.5) < 2
    assert np.ptp(inner) <= 4


def test_mean_brightness_stays() -> None:
    for size in (32, 224):
        assert abs(fit(WIDE, ImageSpec(size=size)).mean() - WIDE.mean()) < 1.5


def test_cropping_comes_before_resizing() -> None:
    picture = np.zeros((100, 200, 3), np.uint8)
    picture[20:80, 50:150] = 200
    plain = fit(picture, ImageSpec(size=64))
    cropped = fit(picture, ImageSpec(size=64, crop="body"))
    assert (cropped > 100).mean() > 0.85 > 0.5 > (plain > 100).mean()


def test_another_process_gets_the_same_bytes() -> None:
    code = (
        "import hashlib; from pipelines.imaging import fit; from pipelines.spec import ImageSpec;"
        "from tests.pipelines.imaging.pictures import colours;"
        "print(hashlib.sha256(fit(colours(60, 120), ImageSpec(size=96, resize='pad'))).hexdigest())"
    )
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    here = hashlib.sha256(fit(WIDE, ImageSpec(size=96, resize="pad")).tobytes()).hexdigest()
    assert said.stdout.strip() == here


def test_only_pictures_of_bytes_are_taken() -> None:
    with pytest.raises(AssertionError):
        fit(np.zeros((64, 64, 3), np.float32), ImageSpec())
    with pytest.raises(AssertionError):
        fit(np.zeros((64, 64), np.uint8), ImageSpec())

"""Every accepted kind of file, and the pixels it becomes."""

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from pipelines.imaging import decode, inspect
from tests.pipelines.imaging.pictures import chunk, colours, deep, file_of, greys, png_of

COLOURS, GREYS = colours(), greys()
ON_THREE = np.repeat(GREYS[..., None], 3, axis=2)


def palette() -> Image.Image:
    return Image.fromarray(COLOURS).quantize(64)


def half_transparent() -> NDArray[np.uint8]:
    alpha = np.full((*GREYS.shape, 1), 255, np.uint8)
    alpha[:, 32:] = 0
    return np.concatenate([COLOURS, alpha], axis=2)


EXACT = {
    "png grey": (file_of(GREYS, "PNG"), ON_THREE),
    "png rgb": (file_of(COLOURS, "PNG"), COLOURS),
    "png palette": (file_of(palette(), "PNG"), np.asarray(palette().convert("RGB"))),
    "png one bit": (
        file_of(Image.fromarray(GREYS).convert("1"), "PNG"),
        np.asarray(Image.fromarray(GREYS).convert("1").convert("RGB")),
    ),
    "png grey with alpha": (file_of(Image.fromarray(GREYS).convert("LA"), "PNG"), ON_THREE),
    "png rgb of 16 bits": (
        png_of((COLOURS * np.uint16(256) + 77).astype(">u2"), size=(64, 48), bits=16, colour=2),
        COLOURS,
    ),
    "bmp rgb": (file_of(COLOURS, "BMP"), COLOURS),
    "bmp grey": (file_of(GREYS, "BMP"), ON_THREE),
    "webp lossless": (file_of(COLOURS, "WEBP", lossless=True), COLOURS),
    "tiff rgb": (file_of(COLOURS, "TIFF"), COLOURS),
    "tiff grey": (file_of(GREYS, "TIFF"), ON_THREE),
    "tiff lzw": (file_of(COLOURS, "TIFF", compression="tiff_lzw"), COLOURS),
    "tiff deflate": (file_of(COLOURS, "TIFF", compression="tiff_adobe_deflate"), COLOURS),
    "tiff white is zero": (file_of(255 - GREYS, "TIFF", tiffinfo={262: 0}), 255 - ON_THREE),
    "tiff cmyk": (file_of(Image.fromarray(COLOURS).convert("CMYK"), "TIFF"), COLOURS),
}
LOSSY = {
    "jpeg rgb": file_of(COLOURS, "JPEG", quality=97, subsampling=0),
    "jpeg progressive": file_of(COLOURS, "JPEG", quality=97, subsampling=0, progressive=True),
    "jpeg cmyk": file_of(Image.fromarray(COLOURS).convert("CMYK"), "JPEG", quality=97),
    "webp": file_of(COLOURS, "WEBP", quality=98),
    "tiff jpeg": file_of(COLOURS, "TIFF", compression="jpeg", quality=97),
}


@pytest.mark.parametrize("kind", EXACT)
def test_lossless_pixels_are_exact(kind: str) -> None:
    data, expected = EXACT[kind]
    picture = decode(data)
    assert picture.dtype == np.uint8
    np.testing.assert_array_equal(picture, expected)


@pytest.mark.parametrize("kind", LOSSY)
def test_lossy_pixels_are_close(kind: str) -> None:
    difference = np.abs(decode(LOSSY[kind]).astype(int) - COLOURS)
    assert difference.mean() < 3


def test_a_grey_jpeg_has_three_equal_channels() -> None:
    picture = decode(file_of(GREYS, "JPEG", quality=97))
    assert np.ptp(picture, axis=2).max() == 0
    assert np.abs(picture.astype(int) - ON_THREE).mean() < 2


@pytest.mark.parametrize("format", ["PNG", "WEBP", "TIFF"])
def test_what_is_transparent_is_black_whatever_colour_hides_there(format: str) -> None:
    options = {"lossless": True, "exact": True} if format == "WEBP" else {}
    picture = decode(file_of(half_transparent(), format, **options))
    np.testing.assert_array_equal(picture[:, :32], COLOURS[:, :32])
    assert not picture[:, 32:].any()


def test_a_transparent_palette_colour_is_black() -> None:
    image = palette()
    hidden = np.asarray(image) == 7
    picture = decode(file_of(image, "PNG", transparency=7))
    assert hidden.any()
    assert not picture[hidden].any()
    np.testing.assert_array_equal(picture[~hidden], np.asarray(image.convert("RGB"))[~hidden])


def test_the_array_is_the_callers_own() -> None:
    picture = decode(file_of(COLOURS, "PNG"))
    picture[:] = 0
    assert picture.flags.c_contiguous


def test_the_first_page_of_a_tiff_is_the_picture_and_a_note_says_so() -> None:
    others = [Image.fromarray(255 - COLOURS)] * 2
    data = file_of(COLOURS, "TIFF", save_all=True, append_images=others)
    np.testing.assert_array_equal(decode(data), COLOURS)
    assert inspect(data).frames == 3
    assert inspect(data).notes == ["first of 3 pictures in the file"]


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (file_of(COLOURS, "JPEG"), ("JPEG", 64, 48, "RGB", 3, 8)),
        (file_of(GREYS, "JPEG"), ("JPEG", 64, 48, "L", 1, 8)),
        (file_of(palette(), "PNG", bits=8), ("PNG", 64, 48, "P", 1, 8)),
        (file_of(deep(), "PNG"), ("PNG", 64, 48, "I;16", 1, 16)),
        (file_of(deep(), "TIFF"), ("TIFF", 64, 48, "I;16", 1, 16)),
        (file_of(half_transparent(), "PNG"), ("PNG", 64, 48, "RGBA", 4, 8)),
        (file_of(COLOURS, "BMP"), ("BMP", 64, 48, "RGB", 3, 8)),
        (file_of(COLOURS, "WEBP"), ("WEBP", 64, 48, "RGB", 3, 8)),
    ],
)
def test_the_header_tells_what_is_inside(data: bytes, expected: tuple[object, ...]) -> None:
    info = inspect(data)
    found = (info.format, info.width, info.height, info.mode, info.channels, info.bits)
    assert found == expected


def test_the_name_of_a_format_is_not_asked_for_but_the_content() -> None:
    assert inspect(file_of(COLOURS, "PNG")).format == "PNG"
    assert inspect(file_of(COLOURS, "JPEG")).format == "JPEG"


def test_a_16_bit_grey_picture_with_a_transparent_shade_is_read_as_grey() -> None:
    see_through = chunk(b"tRNS", b"\0\0")
    data = png_of(deep().astype(">u2"), size=(64, 48), bits=16, colour=0, before=see_through)
    np.testing.assert_array_equal(decode(data), decode(file_of(deep(), "PNG")))

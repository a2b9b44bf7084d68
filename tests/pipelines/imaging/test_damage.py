"""Files cut off anywhere, and files with wrong bytes: an error of ours, or the right pixels."""

import random
import warnings
from collections.abc import Iterator

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from pipelines.errors import BadImage
from pipelines.imaging import decode
from tests.pipelines.imaging.pictures import colours, deep, file_of, greys
from tests.pipelines.imaging.scans import jpeg_scan, rle_scan, scan_of

COLOURS, GREYS = colours(), greys()
FILES = {
    "jpeg": file_of(COLOURS, "JPEG"),
    "progressive jpeg": file_of(COLOURS, "JPEG", progressive=True),
    "grey jpeg": file_of(GREYS, "JPEG"),
    "png": file_of(COLOURS, "PNG"),
    "palette png": file_of(Image.fromarray(COLOURS).quantize(64), "PNG"),
    "16-bit png": file_of(deep(), "PNG"),
    "bmp": file_of(COLOURS, "BMP"),
    "tiff": file_of(COLOURS, "TIFF"),
    "lzw tiff": file_of(COLOURS, "TIFF", compression="tiff_lzw"),
    "deflated tiff": file_of(COLOURS, "TIFF", compression="tiff_adobe_deflate"),
    "webp": file_of(COLOURS, "WEBP"),
    "lossless webp": file_of(COLOURS, "WEBP", lossless=True),
    "dicom": scan_of(GREYS),
    "rle dicom": rle_scan(GREYS),
    "jpeg dicom": jpeg_scan(GREYS, file_of(GREYS, "JPEG")),
}


def decoded_or_refused(data: bytes) -> NDArray[np.uint8] | None:
    """The picture, or nothing if it is refused; any other error is a failure."""
    try:
        return decode(data)
    except BadImage:
        return None


@pytest.fixture(autouse=True)
def _libraries_may_warn() -> Iterator[None]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


@pytest.mark.parametrize("kind", FILES)
def test_a_file_that_was_cut_off_never_gives_wrong_pixels(kind: str) -> None:
    data = FILES[kind]
    whole = decode(data)
    step = max(1, len(data) // 400)
    for length in [*range(0, len(data), step), *range(len(data) - 16, len(data))]:
        picture = decoded_or_refused(data[:length])
        if picture is not None:
            np.testing.assert_array_equal(picture, whole)


@pytest.mark.parametrize("kind", ["jpeg", "progressive jpeg", "grey jpeg"])
def test_a_jpeg_that_was_cut_off_anywhere_in_its_pixels_is_called_truncated(kind: str) -> None:
    data = FILES[kind]
    pixels_begin = data.rindex(b"\xff\xda") + 20
    for length in range(pixels_begin, len(data)):
        with pytest.raises(BadImage) as refused:
            decode(data[:length])
        assert refused.value.reason == "truncated"


@pytest.mark.parametrize("kind", FILES)
def test_wrong_bytes_raise_nothing_but_our_error(kind: str) -> None:
    lots = random.Random(kind)
    for _ in range(150):
        data = bytearray(FILES[kind])
        for _ in range(lots.choice([1, 1, 3, 10])):
            data[lots.randrange(len(data))] = lots.randrange(256)
        picture = decoded_or_refused(bytes(data))
        if picture is not None:
            assert picture.dtype == np.uint8
            assert picture.shape[2] == 3


@pytest.mark.parametrize("kind", ["png", "palette png", "16-bit png"])
def test_no_wrong_byte_in_the_pixels_of_a_png_goes_unseen(kind: str) -> None:
    data, begin = FILES[kind], FILES[kind].index(b"IDAT")
    for place in range(begin, len(data) - 12, 37):
        with pytest.raises(BadImage):
            decode(data[:place] + bytes([data[place] ^ 1]) + data[place + 1 :])


def test_random_bytes_behind_every_signature_raise_nothing_but_our_error() -> None:
    lots = random.Random(1)
    for data in FILES.values():
        for _ in range(30):
            noise = data[: lots.randrange(4, 200)] + lots.randbytes(lots.randrange(2000))
            decoded_or_refused(noise)

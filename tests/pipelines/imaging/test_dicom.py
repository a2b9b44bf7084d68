"""DICOM files, and the pixels a viewer would show."""

import tracemalloc
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from pydicom.dataset import Dataset
from pydicom.uid import (
    MPEG2MPML,
    ExplicitVRBigEndian,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
    RLELossless,
)

from pipelines.errors import BadImage
from pipelines.imaging import decode, inspect
from pipelines.imaging.depth import stretch
from tests.pipelines.imaging.pictures import colours, deep, file_of, greys
from tests.pipelines.imaging.scans import (
    compressed_scan,
    header_of,
    jpeg_scan,
    rle_scan,
    scan_of,
    written,
)

COLOURS, GREYS, DEEP = colours(), greys(), deep()


def shades_of(data: bytes) -> NDArray[np.uint8]:
    """The one channel of a grey picture."""
    picture = decode(data)
    assert np.ptp(picture, axis=2).max() == 0
    return picture[..., 0]


@pytest.mark.parametrize(
    "data",
    [scan_of(GREYS), scan_of(GREYS, syntax=ImplicitVRLittleEndian), rle_scan(GREYS)],
    ids=["explicit", "implicit", "rle"],
)
def test_8_bits_without_a_window_are_shown_as_stored(data: bytes) -> None:
    np.testing.assert_array_equal(shades_of(data), GREYS)


def test_a_scale_that_only_names_a_unit_changes_nothing() -> None:
    data = scan_of(GREYS, RescaleSlope="1", RescaleIntercept="0")
    np.testing.assert_array_equal(shades_of(data), GREYS)


@pytest.mark.parametrize(
    "data",
    [
        scan_of(DEEP, BitsStored=12),
        scan_of(DEEP.astype(">u2"), syntax=ExplicitVRBigEndian, BitsStored=12),
        rle_scan(DEEP, BitsStored=12),
        scan_of(DEEP, BitsStored=12, RescaleSlope="3", RescaleIntercept="-1024"),
        scan_of((DEEP.astype(np.int16) - 2000), BitsStored=16),
        scan_of(DEEP, BitsStored=12, WindowCenter="100", WindowWidth="0"),
    ],
    ids=["plain", "big endian", "rle", "rescaled", "signed", "window of no width"],
)
def test_deep_values_without_a_window_are_scaled_by_their_own_range(data: bytes) -> None:
    np.testing.assert_array_equal(shades_of(data), stretch(DEEP))


def test_the_window_is_applied_to_rescaled_values() -> None:
    stored = np.zeros((32, 32), np.int16)
    stored[0, :5] = [900, 1024 - 40, 1024 + 40, 1024 + 120, 2000]
    data = scan_of(
        stored, RescaleSlope="1", RescaleIntercept="-1024", WindowCenter="40", WindowWidth="160"
    )
    # PS3.3 C.11.2.1.2.1: ((x - (c - 0.5)) / (w - 1) + 0.5) * 255, with x = -124, -40, 40, 120, 976
    assert shades_of(data)[0, :5].tolist() == [0, 0, 128, 255, 255]
    assert inspect(data).notes == ["shown through the window 40 ± 80"]


@pytest.mark.parametrize(
    ("function", "expected"),
    [
        ("LINEAR", [0, 64, 128, 192, 255]),
        ("LINEAR_EXACT", [0, 64, 128, 191, 255]),
        ("SIGMOID", [30, 69, 128, 186, 225]),
    ],
)
def test_each_kind_of_window_follows_the_standard(function: str, expected: list[int]) -> None:
    stored = np.zeros((32, 32), np.int16)
    stored[0, :5] = [-100, -50, 0, 50, 100]
    data = scan_of(stored, WindowCenter="0", WindowWidth="200", VOILUTFunction=function)
    assert shades_of(data)[0, :5].tolist() == expected


def test_the_first_of_several_windows_is_used() -> None:
    several = scan_of(DEEP, WindowCenter=["2000", "9"], WindowWidth=["900", "5"])
    one = scan_of(DEEP, WindowCenter="2000", WindowWidth="900")
    np.testing.assert_array_equal(decode(several), decode(one))


def test_a_table_in_the_file_is_used_before_its_window() -> None:
    table = Dataset()
    table.LUTDescriptor = [256, 0, 16]
    table.LUTData = (np.arange(256)[::-1] * 257).astype("<u2").tobytes()
    data = scan_of(GREYS, VOILUTSequence=[table], WindowCenter="5", WindowWidth="3")
    np.testing.assert_array_equal(shades_of(data), 255 - GREYS)


def test_monochrome1_is_inverted() -> None:
    for elements in ({}, {"WindowCenter": "100", "WindowWidth": "80"}):
        ordinary = shades_of(scan_of(GREYS, **elements))
        inverted = shades_of(scan_of(GREYS, PhotometricInterpretation="MONOCHROME1", **elements))
        np.testing.assert_array_equal(inverted, 255 - ordinary)


@pytest.mark.parametrize("photometric", ["MONOCHROME1", "MONOCHROME2"])
def test_padding_is_black_and_does_not_count_in_the_range(photometric: str) -> None:
    padded = DEEP.copy()
    padded[:10] = 60000
    data = scan_of(padded, PixelPaddingValue=60000, PhotometricInterpretation=photometric)
    expected = stretch(DEEP[10:])
    shown = shades_of(data)
    assert not shown[:10].any()
    inverted = photometric == "MONOCHROME1"
    np.testing.assert_array_equal(shown[10:], 255 - expected if inverted else expected)


def test_colours_are_shown_as_stored() -> None:
    planes = np.ascontiguousarray(COLOURS.transpose(2, 0, 1)).reshape(COLOURS.shape)
    for data in (scan_of(COLOURS), scan_of(planes, PlanarConfiguration=1), rle_scan(COLOURS)):
        np.testing.assert_array_equal(decode(data), COLOURS)


def test_luminance_and_chrominance_become_rgb() -> None:
    stored = np.zeros((32, 32, 3), np.uint8)
    stored[:] = [76, 85, 255]  # pure red (PS3.3, C.7.6.3.1.2)
    picture = decode(scan_of(stored, PhotometricInterpretation="YBR_FULL"))
    assert np.abs(picture[0, 0].astype(int) - [255, 0, 0]).max() <= 2


def test_a_palette_is_looked_up() -> None:
    tables: dict[str, Any] = {
        f"{colour}PaletteColorLookupTable{part}": content
        for colour, shade in (("Red", 200), ("Green", 100), ("Blue", 50))
        for part, content in (
            ("Descriptor", [256, 0, 16]),
            ("Data", np.full(256, shade * 257, "<u2").tobytes()),
        )
    }
    picture = decode(scan_of(GREYS, PhotometricInterpretation="PALETTE COLOR", **tables))
    assert picture.reshape(-1, 3).tolist() == [[200, 100, 50]] * GREYS.size


@pytest.mark.parametrize("subsampling", [0, 1])
def test_a_jpeg_inside_is_decoded(subsampling: int) -> None:
    frame = file_of(COLOURS, "JPEG", quality=97, subsampling=subsampling)
    kind = ("YBR_FULL", "YBR_FULL_422")[subsampling]
    picture = decode(jpeg_scan(COLOURS, frame, PhotometricInterpretation=kind))
    assert np.abs(picture.astype(int) - COLOURS).mean() < 3


def test_a_grey_jpeg_and_a_jpeg_2000_inside_are_decoded() -> None:
    assert (
        np.abs(
            shades_of(jpeg_scan(GREYS, file_of(GREYS, "JPEG", quality=97))).astype(int) - GREYS
        ).mean()
        < 2
    )
    frame = file_of(GREYS, "JPEG2000", no_jp2=True)
    data = compressed_scan(GREYS, frame, syntax=JPEG2000Lossless)
    np.testing.assert_array_equal(shades_of(data), GREYS)


def test_the_header_tells_what_is_inside() -> None:
    info = inspect(scan_of(DEEP, BitsStored=12, PhotometricInterpretation="MONOCHROME1"))
    assert (info.format, info.width, info.height) == ("DICOM", 64, 48)
    assert (info.mode, info.channels, info.bits, info.frames) == ("MONOCHROME1", 1, 12, 1)
    assert len(info.notes) == 2


def _without_pixels() -> bytes:
    return written(header_of(GREYS), "1.2.840.10008.1.2.1")


REFUSED = {
    "several frames": (
        scan_of(np.stack([GREYS] * 2).reshape(-1, 64), Rows=48, NumberOfFrames="2"),
        "multi_frame",
    ),
    "a report": (scan_of(GREYS, Rows=None, Columns=None), "no_pixels"),
    "no pixels": (_without_pixels(), "truncated"),
    "pixels cut off": (scan_of(GREYS)[:-100], "truncated"),
    "pixels too short": (scan_of(GREYS[:40], Rows=48), "truncated"),
    "unknown compression": (compressed_scan(GREYS, b"abcd", syntax=MPEG2MPML), "unsupported"),
    "32 bits": (scan_of(DEEP.astype(np.uint32)), "unsupported"),
    "unknown photometric": (scan_of(GREYS, PhotometricInterpretation="HSV"), "unsupported"),
    "broken jpeg inside": (jpeg_scan(GREYS, b"\xff\xd8\xff" + b"a" * 50), "corrupt"),
    "too many pixels": (scan_of(GREYS, Rows=60_000, Columns=60_000), "too_large"),
    "noise": (b"\0" * 128 + b"DICM" + b"\xff" * 100, "corrupt"),
}


@pytest.mark.filterwarnings("ignore:End of file reached:UserWarning")
@pytest.mark.parametrize("kind", REFUSED)
def test_what_cannot_be_shown_is_refused_with_its_reason(kind: str) -> None:
    data, reason = REFUSED[kind]
    with pytest.raises(BadImage) as refused:
        decode(data)
    assert refused.value.reason == reason
    assert "Doe" not in str(refused.value)


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (jpeg_scan(GREYS, file_of(greys(3000, 3000), "JPEG")), "inside is 3000 x 3000"),
        (
            compressed_scan(GREYS, b"\x81\0" * 500_000, syntax=RLELossless),
            "8454273 segments",
        ),
    ],
    ids=["jpeg", "rle"],
)
def test_what_would_swell_is_refused_before_memory_is_spent_on_it(data: bytes, words: str) -> None:
    tracemalloc.start()
    try:
        with pytest.raises(BadImage, match=words):
            decode(data)
        assert tracemalloc.get_traced_memory()[1] < 6_000_000
    finally:
        tracemalloc.stop()

"""What elements of a DICOM header do to the image, one rule at a time, in the service's way of
reading a file and in ingest's."""

import io
import zipfile
from typing import Any

import numpy as np
import pydicom
import pytest
from numpy.typing import NDArray
from pydicom.dataset import Dataset
from pydicom.uid import (
    DeflatedExplicitVRLittleEndian,
    JPEG2000Lossless,
)

from pipelines.data.land.deidentify import deidentify
from pipelines.imaging import decode, dicom_file, inspect, kind_of
from pipelines.imaging.depth import stretch
from tests.pipelines.imaging.both_ways import NAMES, refused_both_ways, seen_both_ways
from tests.pipelines.imaging.pictures import colours, deep, file_of, greys
from tests.pipelines.imaging.scans import (
    compressed_scan,
    header_of,
    jpeg_scan,
    scan_of,
    written,
)

GREYS, COLOURS, DEEP = greys(), colours(), deep()
Pixels = NDArray[Any]


def with_raw(file: bytes, old: bytes, new: bytes) -> bytes:
    """A file with bytes replaced that pydicom would not write."""
    assert file.count(old) == 1
    assert len(old) == len(new)
    return file.replace(old, new)


def window(values: Pixels, center: float, width: float) -> Pixels:
    shades = ((values - (center - 0.5)) / (width - 1) + 0.5) * 255
    shown: Pixels = np.rint(shades.clip(0, 255)).astype(np.uint8)
    return shown


SCALED = {
    "no intercept": ({"RescaleSlope": "2"}, 2, 0),
    "an empty intercept": ({"RescaleSlope": "2", "RescaleIntercept": ""}, 2, 0),
    "an empty slope": ({"RescaleSlope": "", "RescaleIntercept": "-1024"}, 1, -1024),
    "a fall": ({"RescaleSlope": "-2", "RescaleIntercept": "5000"}, -2, 5000),
    "a small slope": ({"RescaleSlope": "0.1", "RescaleIntercept": "7.5"}, 0.1, 7.5),
}


@pytest.mark.parametrize("case", SCALED)
def test_a_scale_is_applied_before_the_window_and_the_own_range(case: str) -> None:
    elements, slope, intercept = SCALED[case]
    values = DEEP.astype(int) * slope + intercept
    np.testing.assert_array_equal(
        seen_both_ways(scan_of(DEEP, BitsStored=12, **elements))[..., 0], stretch(values)
    )
    center, width = float(values.mean()), float(np.ptp(values) / 2)
    shown = scan_of(
        DEEP, BitsStored=12, WindowCenter=f"{center:.6g}", WindowWidth=f"{width:.6g}", **elements
    )
    expected = window(values, float(f"{center:.6g}"), float(f"{width:.6g}"))
    np.testing.assert_array_equal(seen_both_ways(shown)[..., 0], expected)


def test_what_cannot_be_used_of_scale_and_window_is_ignored_with_a_note() -> None:
    ten = {"RescaleSlope": "1234567890"}
    nan = with_raw(scan_of(DEEP, BitsStored=12, **ten), b"1234567890", b"nan       ")
    unusable = [
        scan_of(DEEP, BitsStored=12, RescaleSlope="0", RescaleIntercept="0"),
        nan,
        scan_of(DEEP, BitsStored=12, WindowCenter="5", WindowWidth="-3"),
        with_raw(
            scan_of(DEEP, BitsStored=12, WindowCenter="1234567890", WindowWidth="40"),
            b"1234567890",
            b"nan       ",
        ),
    ]
    for file in unusable:
        np.testing.assert_array_equal(seen_both_ways(file)[..., 0], stretch(DEEP))
        assert any("not usable" in note for note in inspect(file).notes)


PADDED: dict[str, tuple[Pixels, dict[str, Any], set[int]]] = {
    "one value": (DEEP, {"PixelPaddingValue": 4000}, {4000}),
    "a range": (DEEP, {"PixelPaddingValue": 4000, "PixelPaddingRangeLimit": 4095}, {4000, 4050}),
    "a range downwards": (
        DEEP,
        {"PixelPaddingValue": 4095, "PixelPaddingRangeLimit": 4000},
        {4000, 4050, 4095},
    ),
    "signed": (DEEP.astype(np.int16) - 2048, {"PixelPaddingValue": -2000}, {-2000}),
    "signed, in 16 bits": (
        DEEP.astype(np.int16) - 2048,
        {"PixelPaddingValue": -32768, "BitsStored": 16},
        {-32768},
    ),
    "beyond the bits stored": (DEEP, {"PixelPaddingValue": 63536}, {63536}),
}


@pytest.mark.parametrize("case", PADDED)
@pytest.mark.parametrize("photometric", ["MONOCHROME1", "MONOCHROME2"])
def test_padding_is_black_and_out_of_the_range(case: str, photometric: str) -> None:
    values, padded, padding = PADDED[case]
    values = values.copy()
    for row, value in enumerate(padding):
        values[4 * row : 4 * row + 4] = np.array(value).astype(values.dtype)
    top = 4 * len(padding)
    elements: dict[str, Any] = {"BitsStored": 12, "PhotometricInterpretation": photometric} | padded
    image = seen_both_ways(scan_of(values, **elements))[..., 0]
    shades = stretch(values[top:])
    assert not image[:top].any()
    expected = 255 - shades if photometric == "MONOCHROME1" else shades
    np.testing.assert_array_equal(image[top:], expected)


def test_a_padding_value_is_understood_with_and_without_a_sign() -> None:
    values = DEEP.astype(np.int16) - 2048
    values[:8] = -2000
    header = header_of(values, BitsStored=12)
    header.PixelData = values.tobytes()
    header.add_new(0x00280120, "US", 63536)
    image = seen_both_ways(written(header, "1.2.840.10008.1.2.1"))[..., 0]
    assert not image[:8].any()
    np.testing.assert_array_equal(image[8:], stretch(values[8:]))


def enhanced(where: str, **top: Any) -> bytes:
    """An Enhanced CT with one frame; its scale and window are in functional groups."""
    header = header_of(DEEP, BitsStored=12, NumberOfFrames="1", **top)
    scale, voi, group = Dataset(), Dataset(), Dataset()
    scale.RescaleIntercept, scale.RescaleSlope = "-1024", "2"
    voi.WindowCenter, voi.WindowWidth, voi.VOILUTFunction = ["0", "9"], ["2000", "9"], "LINEAR"
    group.PixelValueTransformationSequence, group.FrameVOILUTSequence = [scale], [voi]
    note = Dataset()
    note.FrameComments, note.FrameAcquisitionDateTime = "Doe, Jane", "20200101"
    group.FrameContentSequence = [note]
    shared, each = ([group], [Dataset()]) if where == "shared" else ([Dataset()], [group])
    header.SharedFunctionalGroupsSequence = shared
    header.PerFrameFunctionalGroupsSequence = each
    header.PixelData = DEEP.tobytes()
    return written(header, "1.2.840.10008.1.2.1")


@pytest.mark.parametrize("where", ["shared", "per frame"])
def test_functional_groups_of_enhanced_objects_are_applied_and_kept(where: str) -> None:
    for top in ({}, {"WindowCenter": "1", "WindowWidth": "5", "RescaleSlope": "9"}):
        file = enhanced(where, **top)
        expected = window(DEEP.astype(float) * 2 - 1024, 0, 2000)
        np.testing.assert_array_equal(seen_both_ways(file)[..., 0], expected)
        assert b"Doe" not in deidentify(file, NAMES)
        assert inspect(file).notes == ["shown through the window 0 ± 1000"]


def test_unused_bits_of_colour_are_not_kept() -> None:
    stored = COLOURS.astype(np.uint16) * 16
    for planar in (0, 1):
        shaped = stored.transpose(2, 0, 1).reshape(stored.shape) if planar else stored
        words = np.ascontiguousarray(shaped | 0xA000)
        file = scan_of(words, BitsStored=12, PlanarConfiguration=planar)
        np.testing.assert_array_equal(seen_both_ways(file), COLOURS)
        kept = pydicom.dcmread(io.BytesIO(deidentify(file, NAMES))).PixelData
        assert not (np.frombuffer(kept, "<u2") & 0xF000).any()


def adobe(transform: int) -> bytes:
    return b"\xff\xee\0\x0eAdobe\0\x64\0\0\0\0" + bytes([transform])


def test_a_jpegs_colours_are_converted_once_by_its_own_markers() -> None:
    smooth = np.stack([np.linspace(200, 20, 64)] * 48).astype(np.uint8)
    image = np.stack([smooth, 255 - smooth, smooth // 2], -1)
    jfif = file_of(image, "JPEG", quality=98, subsampling=0)
    bare = jfif[:2] + jfif[20:]
    raw = bytearray(file_of(np.asarray(image), "JPEG", quality=98, subsampling=0, keep_rgb=True))
    raw_bare = bytes(raw).replace(bytes(raw[raw.find(b"\xff\xee") :][:16]), b"")
    numbered = raw_bare.replace(b"R\x11\0G\x11\0B\x11\0", b"\1\x11\0\2\x11\0\3\x11\0")
    numbered = numbered.replace(b"\x03R\0G\0B\0", b"\x03\1\0\2\0\3\0")
    for kind in ("YBR_FULL_422", "YBR_FULL", "RGB"):
        streams = {
            "JFIF": jfif,
            "JFIF and Adobe": jfif[:20] + adobe(1) + jfif[20:],
            "Adobe": bare[:2] + adobe(1) + bare[2:],
            "RGB by Adobe": numbered[:2] + adobe(0) + numbered[2:],
            "RGB by its names": raw_bare,
            "nothing": numbered if kind == "RGB" else bare,
        }
        for name, stream in streams.items():
            file = jpeg_scan(image, stream, PhotometricInterpretation=kind)
            off = np.abs(seen_both_ways(file).astype(int) - image).mean()
            assert off < 2, f"{name}, {kind}"


def test_comments_inside_compressed_pixels_are_not_kept() -> None:
    jpeg = file_of(
        GREYS, "JPEG", comment=b"Doe, Jane", exif=b"Exif\0\0II*\0\x08\0\0\0\0\0\0\0\0\0Doe"
    )
    named = jpeg_scan(GREYS, jpeg + b"Doe")
    j2k = file_of(GREYS, "JPEG2000", no_jp2=True, comment="Doe, Jane")
    for file in (named, compressed_scan(GREYS, j2k, syntax=JPEG2000Lossless)):
        assert file.count(b"Doe") >= 2
        seen_both_ways(file)
        assert b"Doe" not in deidentify(file, NAMES)


def cut(file: bytes, count: int) -> bytes:
    return file[:-count]


CUT = {
    "one byte short": cut(scan_of(DEEP, BitsStored=12), 1),
    "one row short": scan_of(DEEP[:-1], BitsStored=12, Rows=48),
    "colour short": scan_of(COLOURS[:-1], Rows=48),
    "a jpeg cut inside": jpeg_scan(
        GREYS, (jpeg := file_of(GREYS, "JPEG", quality=97))[: len(jpeg) * 6 // 10] + b"\xff\xd9"
    ),
    "rle cut": compressed_scan(
        GREYS, b"\1\0\0\0\x40" + bytes(59) + b"\x7f" + bytes(128), syntax=pydicom.uid.RLELossless
    ),
    "half a jpeg 2000": compressed_scan(
        GREYS,
        (j2k := file_of(GREYS, "JPEG2000", no_jp2=True))[: len(j2k) // 2],
        syntax=JPEG2000Lossless,
    ),
}


@pytest.mark.parametrize("case", CUT)
def test_pixels_that_are_cut_off_are_refused(case: str) -> None:
    refused_both_ways(CUT[case], reason="truncated")


def test_a_private_transfer_syntax_is_refused() -> None:
    # GE's 1.2.840.113619.5.2 stores words with the high byte first
    file = with_raw(scan_of(DEEP), b"1.2.840.10008.1.2.1\0\x02", b"1.2.840.113619.5.2\0\0\x02")
    refused_both_ways(file, reason="unsupported", named="TransferSyntaxUID")


REFUSED = {
    "a high bit below the stored ones": (scan_of(DEEP, BitsStored=12, HighBit=9), "HighBit"),
    "more bits stored than allocated": (scan_of(GREYS, BitsStored=12, HighBit=11), "BitsStored"),
    "three samples of grey": (
        scan_of(COLOURS, PhotometricInterpretation="MONOCHROME2"),
        "SamplesPerPixel",
    ),
    "a scale that a window needs": (
        scan_of(DEEP, BitsStored=12, RescaleSlope="0", WindowCenter="9", WindowWidth="9"),
        "RescaleSlope",
    ),
    "no rows": (scan_of(GREYS, Rows=0), "Rows"),
    "bytes for more columns": (scan_of(DEEP, BitsStored=12, Columns=60), "Columns"),
    "a jpeg of another size": (
        jpeg_scan(GREYS, file_of(GREYS[:40], "JPEG")),
        "Rows",
    ),
    "a colour jpeg said to be grey": (
        jpeg_scan(GREYS, file_of(COLOURS, "JPEG")),
        "SamplesPerPixel",
    ),
    "plain pixels said to be compressed": (
        with_raw(scan_of(GREYS), b"1.2.840.10008.1.2.1\0\x02", b"1.2.840.10008.1.2.5\0\x02"),
        "TransferSyntaxUID",
    ),
    "no palette": (
        scan_of(GREYS, PhotometricInterpretation="PALETTE COLOR"),
        "RedPaletteColorLookupTableDescriptor",
    ),
}


@pytest.mark.parametrize("case", REFUSED)
def test_an_element_that_contradicts_the_file_is_named(case: str) -> None:
    file, named = REFUSED[case]
    refused_both_ways(file, reason="corrupt", named=named)


def test_small_faults_of_a_header_stop_nothing() -> None:
    plain = scan_of(DEEP, BitsStored=12)
    expected = decode(plain)
    no_syntax = pydicom.dcmread(io.BytesIO(plain))
    del no_syntax.file_meta.TransferSyntaxUID
    target = io.BytesIO()
    pydicom.dcmwrite(
        target, no_syntax, implicit_vr=False, little_endian=True, enforce_file_format=False
    )
    files = {
        "an empty SOP class": plain.replace(
            b"\x08\0\x16\0UI\x1a\x001.2.840.10008.5.1.4.1.1.7\0", b"\x08\0\x16\0UI\0\0"
        ),
        "no transfer syntax": target.getvalue(),
        "a comment with a UID": scan_of(
            DEEP, BitsStored=12, ImageComments=f"sent as {DeflatedExplicitVRLittleEndian}"
        ),
        "deflated": scan_of(DEEP, syntax=DeflatedExplicitVRLittleEndian, BitsStored=12),
        "no high bit": scan_of(DEEP, BitsStored=12, HighBit=None),
        "a padding byte": plain + b"\0",
        "padding as long as a frame": scan_of(
            np.concatenate([DEEP, np.zeros_like(DEEP)]), Rows=48, BitsStored=12
        ),
        "a window without a function": scan_of(DEEP, BitsStored=12, VOILUTFunction=""),
    }
    for name, file in files.items():
        np.testing.assert_array_equal(seen_both_ways(file), expected, err_msg=name)


def without_preamble(**elements: Any) -> bytes:
    header = header_of(DEEP, BitsStored=12, **elements)
    header.PixelData = DEEP.tobytes()
    header["PixelData"].VR = "OW"
    target = io.BytesIO()
    pydicom.dcmwrite(
        target, header, implicit_vr=True, little_endian=True, enforce_file_format=False
    )
    return target.getvalue()


def test_dicom_without_a_preamble_is_dicom() -> None:
    expected = decode(scan_of(DEEP, BitsStored=12))
    plain = scan_of(DEEP, BitsStored=12)
    for file in (
        without_preamble(),
        without_preamble(ImageType=["ORIGINAL", "PRIMARY"]),
        without_preamble(SpecificCharacterSet="ISO_IR 100"),
        without_preamble(SOPClassUID=None, SOPInstanceUID=None),
        plain[132:],
        plain[plain.index(b"\x08\0\x16\0") :],
    ):
        assert kind_of(file) == "dicom"
        np.testing.assert_array_equal(seen_both_ways(file), expected)
        assert b"Doe" not in deidentify(file, NAMES)


def test_only_what_is_proven_to_be_a_plain_image_counts_as_one() -> None:
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as target:
        target.writestr("IM1.dcm", scan_of(GREYS))
    broken, gzipped = b"\xff\xd8\xffDoe", b"\x1f\x8b\x08" + bytes(50)
    for data in (archive.getvalue(), gzipped, b"Doe, Jane\n", b"", broken):
        assert kind_of(data) == "unproven"
    for kind in ("JPEG", "PNG", "TIFF", "BMP", "WEBP"):
        assert kind_of(file_of(COLOURS, kind)) == "plain"
    assert kind_of(file_of(DEEP.astype(np.float32), "TIFF")) == "plain"


def test_a_deflated_file_is_inflated_up_to_a_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dicom_file, "MOST_INFLATED", 1 << 20)
    file = scan_of(np.zeros((2000, 1000), np.uint8), syntax=DeflatedExplicitVRLittleEndian)
    assert len(file) < 10_000
    refused_both_ways(file, reason="too_large")
    refused_both_ways(
        scan_of(GREYS, syntax=DeflatedExplicitVRLittleEndian)[:-300], reason="truncated"
    )


def test_a_header_of_very_many_elements_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dicom_file, "MOST_READS", 2_000)
    header = header_of(GREYS)
    items = [Dataset() for _ in range(1_500)]
    for item in items:
        item.CodeValue = "1"
    header.ReferencedImageSequence = items
    header["ReferencedImageSequence"].is_undefined_length = True
    header.PixelData = GREYS.tobytes()
    refused_both_ways(written(header, "1.2.840.10008.1.2.1"), reason="too_large")

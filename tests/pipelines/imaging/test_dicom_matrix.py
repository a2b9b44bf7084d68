"""Every way to store the same image as DICOM shows the same, as two other readers see it too.

Each file goes through the service's path (decode) and ingest's (de-identify, then decode).
"""

import io
import re
import struct
from collections.abc import Callable
from contextlib import suppress
from itertools import product
from pathlib import Path
from typing import Any, Literal

import dicomsdl
import jpeg_ls
import numpy as np
import pydicom
import pytest
from numpy.typing import NDArray
from pydicom.dataset import Dataset
from pydicom.uid import (
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    JPEGLSLossless,
    RLELossless,
)

from pipelines.data.land.deidentify import deidentify
from pipelines.data.land.pseudonyms import Pseudonyms
from pipelines.errors import BadImage
from pipelines.imaging import Limits, decode
from pipelines.imaging.depth import stretch
from tests.pipelines.imaging.readers import by_dicomsdl, by_gdcm, transcoded
from tests.pipelines.imaging.scans import compressed_scan, scan_of

SMALL = Limits(min_side=1)
NAMES = Pseudonyms(b"k" * 32)
ROWS, COLUMNS = 16, 24
GREY_DEPTHS = [(8, 8), (8, 6), (16, 8), (16, 10), (16, 12), (16, 16)]
"""Bits allocated and stored."""
NATIVE = (ImplicitVRLittleEndian, ExplicitVRLittleEndian, ExplicitVRBigEndian)
GDCM_WRITES = ("jpeg lossless", "jpeg 2000")
Stored = NDArray[Any]


def grey(allocated: int, bits: int, *, signed: bool) -> Stored:
    """Values that use all of their bits."""
    rows, columns = np.mgrid[0:ROWS, 0:COLUMNS]
    top = (1 << bits) - 1
    values = (rows * 37 + columns * 101 + rows * columns) * (top // 97 + 1) % (top + 1)
    values[0, :2] = 0, top
    kind = f"{'i' if signed else 'u'}{allocated // 8}"
    return np.asarray((values - (1 << (bits - 1)) * signed).astype(kind))


def colour(allocated: int, bits: int) -> Stored:
    channels = [grey(allocated, bits, signed=False)]
    channels += [np.roll(channels[0], 5, axis=1), np.roll(channels[0], 3, axis=0)]
    return np.ascontiguousarray(np.stack(channels, axis=-1))


def seen_both_ways(file: bytes) -> NDArray[np.uint8]:
    """The image, which is the same before and after de-identification."""
    image = decode(file, limits=SMALL)
    np.testing.assert_array_equal(decode(deidentify(file, NAMES), limits=SMALL), image)
    return image


def shown(values: Stored, bits: int, signed: bool) -> NDArray[np.uint8]:
    """By the documented rule: 8 bits as stored, others scaled by their own range."""
    return values.astype(np.uint8) if bits == 8 and not signed else stretch(values)


def native(syntax: str) -> Callable[[Stored, Path, dict[str, Any]], bytes]:
    def written(values: Stored, _folder: Path, elements: dict[str, Any]) -> bytes:
        order: Literal["<", ">"] = ">" if syntax == ExplicitVRBigEndian else "<"
        stored = values.astype(values.dtype.newbyteorder(order))
        return scan_of(stored, syntax=syntax, **elements)

    return written


def by_transcoding(syntax: str) -> Callable[[Stored, Path, dict[str, Any]], bytes]:
    def written(values: Stored, folder: Path, elements: dict[str, Any]) -> bytes:
        return transcoded(scan_of(values, **elements), syntax, folder)

    return written


def jpeg_ls_of(values: Stored, _folder: Path, elements: dict[str, Any]) -> bytes:
    bits = elements["BitsStored"]
    words = (values.astype(np.int64) & ((1 << bits) - 1)).astype("<u2" if bits > 8 else "u1")
    samples = values.shape[2] if values.ndim == 3 else 1
    stream = jpeg_ls.encode_buffer(words.tobytes(), ROWS, COLUMNS, samples, bits, interleave_mode=2)
    return compressed_scan(values, bytes(stream), syntax=JPEGLSLossless, **elements)


def rle_of(values: Stored, _folder: Path, elements: dict[str, Any]) -> bytes:
    """PS3.5, annex G, with nothing but literal runs."""
    size = values.itemsize
    octets = values.astype(values.dtype.newbyteorder(">")).view(np.uint8)
    planes = octets.reshape(ROWS * COLUMNS, -1, size).transpose(1, 2, 0).reshape(-1, ROWS * COLUMNS)
    segments = []
    for plane in planes:
        runs = [plane[at : at + 128].tobytes() for at in range(0, len(plane), 128)]
        segments.append(b"".join(bytes([len(run) - 1]) + run for run in runs))
    ends = [64 + sum(map(len, segments[:index])) for index in range(len(segments))]
    header = struct.pack("<16I", len(segments), *ends, *[0] * (15 - len(segments)))
    return compressed_scan(values, header + b"".join(segments), syntax=RLELossless, **elements)


WRITERS: dict[str, Callable[[Stored, Path, dict[str, Any]], bytes]] = {
    "implicit": native(ImplicitVRLittleEndian),
    "explicit": native(ExplicitVRLittleEndian),
    "big endian": native(ExplicitVRBigEndian),
    "deflated": native(DeflatedExplicitVRLittleEndian),
    "rle": rle_of,
    "jpeg lossless": by_transcoding("JPEGLosslessProcess14_1"),
    "jpeg-ls": jpeg_ls_of,
    "jpeg 2000": by_transcoding("JPEG2000Lossless"),
}


@pytest.mark.parametrize("writer", WRITERS)
def test_grey_is_read_however_it_is_stored(writer: str, tmp_path: Path) -> None:
    for (allocated, bits), signed in product(GREY_DEPTHS, (False, True)):
        if bits == 6 and writer in GDCM_WRITES:
            continue
        values = grey(allocated, bits, signed=signed)
        file = WRITERS[writer](values, tmp_path, {"BitsStored": bits})
        case = f"{writer}, {bits} bits in {allocated}, signed: {signed}"
        seen = seen_both_ways(file)
        np.testing.assert_array_equal(seen[..., 0], shown(values, bits, signed), err_msg=case)
        # GDCM ends the process on some of what it does not read; DicomSDL reads no signed bytes
        odd = writer == "jpeg-ls" and allocated == 16 and (bits == 8 or (signed and bits < 16))
        by_one = ["gdcm"] * (bits > 6 and not odd)
        by_other = ["dicomsdl"] * (
            not odd and (allocated == 16 or not (signed or writer == "big endian"))
        )
        agreeing = readers_that_agree(file, values, tmp_path, gdcm=bool(by_one))
        assert agreeing == [*by_one, *by_other], case


@pytest.mark.parametrize("writer", WRITERS)
def test_colour_is_read_however_it_is_stored(writer: str, tmp_path: Path) -> None:
    for allocated, bits in ((8, 8), (16, 8), (16, 12), (16, 16)):
        if allocated == 16 and writer in GDCM_WRITES:
            continue
        values = colour(allocated, bits)
        file = WRITERS[writer](values, tmp_path, {"BitsStored": bits})
        case = f"{writer}, {bits} bits in {allocated}"
        expected = (values >> (bits - 8)).astype(np.uint8)
        np.testing.assert_array_equal(seen_both_ways(file), expected, err_msg=case)
        if allocated == 8 or writer not in ("rle", "jpeg-ls"):  # they read no such 16 bits
            agreeing = readers_that_agree(file, values, tmp_path, gdcm=True)
            assert "gdcm" in agreeing or "dicomsdl" in agreeing, case


@pytest.mark.parametrize("photometric", ["RGB", "YBR_FULL"])
def test_planes_and_chrominance_are_those_of_the_syntax(photometric: str, tmp_path: Path) -> None:
    values = colour(8, 8)
    planes = np.ascontiguousarray(values.transpose(2, 0, 1)).reshape(values.shape)
    kind: dict[str, Any] = {"PhotometricInterpretation": photometric}
    by_pixel = scan_of(values, **kind)
    image = seen_both_ways(by_pixel)
    if photometric == "YBR_FULL":
        luma, blue, red = values.astype(float).transpose(2, 0, 1) - [[[0]], [[128]], [[128]]]
        rgb = np.stack(
            [luma + 1.402 * red, luma - 0.344136 * blue - 0.714136 * red, luma + 1.772 * blue], -1
        )
        assert np.abs(image - rgb.clip(0, 255)).max() < 1
    same = {
        "planes": scan_of(planes, PlanarConfiguration=1, **kind),
        "no planar configuration": scan_of(values, PlanarConfiguration=None, **kind),
        "rle": rle_of(values, tmp_path, kind),
        "rle, said to be by pixel": rle_of(values, tmp_path, {"PlanarConfiguration": 0, **kind}),
        "rle, said to be planes": rle_of(values, tmp_path, {"PlanarConfiguration": 1, **kind}),
        "jpeg-ls, said to be planes": jpeg_ls_of(
            values, tmp_path, {"BitsStored": 8, "PlanarConfiguration": 1, **kind}
        ),
    }
    for name, file in same.items():
        np.testing.assert_array_equal(seen_both_ways(file), image, err_msg=name)


def test_bits_are_taken_from_where_high_bit_says_and_no_others_are_kept(tmp_path: Path) -> None:
    for (allocated, bits, high), signed in product(
        ((16, 12, 15), (16, 10, 12), (16, 8, 11), (8, 6, 7)), (False, True)
    ):
        values = grey(allocated, bits, signed=signed)
        shift, kind = high + 1 - bits, f"u{allocated // 8}"
        used = (values.astype(np.int64) & ((1 << bits) - 1)) << shift
        other = ~(((1 << bits) - 1) << shift) & ((1 << allocated) - 1)
        words = (used | (np.arange(COLUMNS) % 2 * other)).astype(kind)
        elements: dict[str, Any] = {
            "BitsStored": bits,
            "HighBit": high,
            "PixelRepresentation": int(signed),
        }
        files = {"native": scan_of(words, **elements), "rle": rle_of(words, tmp_path, elements)}
        for name, file in files.items():
            case = f"{name}, {bits} bits up to {high} in {allocated}, signed: {signed}"
            seen = seen_both_ways(file)
            np.testing.assert_array_equal(seen[..., 0], shown(values, bits, signed), err_msg=case)
            kept = pydicom.dcmread(io.BytesIO(deidentify(file, NAMES)))
            stored = np.frombuffer(kept.PixelData, kind).reshape(ROWS, COLUMNS)
            unused = stored.astype(np.int64) & other
            sign = (used >> high & 1) * int(signed) * (other & ~((1 << (high + 1)) - 1))
            np.testing.assert_array_equal(unused, sign, err_msg=case)


@pytest.mark.parametrize(
    "syntax", [ImplicitVRLittleEndian, ExplicitVRLittleEndian, ExplicitVRBigEndian]
)
def test_palettes_are_looked_up_however_they_are_stored(syntax: str) -> None:
    order = ">" if syntax == ExplicitVRBigEndian else "<"
    steps = np.arange(256)
    ramps = [steps, steps * 3 % 256, 255 - steps]
    wide = [np.interp(np.arange(65536), steps * 257, ramp * 257).astype(int) for ramp in ramps]

    def words(entries: Any) -> bytes:
        return np.asarray(entries).astype(f"{order}u2").tobytes()

    def as_bytes(entries: NDArray[Any]) -> bytes:
        plain = entries.astype(np.uint8).tobytes()
        return np.frombuffer(plain, "<u2").astype(f"{order}u2").tobytes()

    index = grey(8, 8, signed=False)
    deep = (index.astype(np.uint16) * 257).astype(f"{order}u2")
    half = [np.concatenate([[0, 128], ramp[:128] * 257, [2, 1, 0, 0]]) for ramp in ramps]
    cases: dict[str, tuple[Any, list[int], list[bytes], str, list[NDArray[Any]]]] = {
        "16 bits": (index, [256, 0, 16], [words(r * 257) for r in ramps], "", ramps),
        "8 bits in words": (index, [256, 0, 8], [words(r) for r in ramps], "", ramps),
        "8 bits in words, said to be 16": (
            index,
            [256, 0, 16],
            [words(r) for r in ramps],
            "",
            ramps,
        ),
        "8 bits in bytes": (index, [256, 0, 8], [as_bytes(r) for r in ramps], "", ramps),
        "65,536 entries": (deep, [0, 0, 16], [words(w) for w in wide], "", ramps),
        "from 100 on": (
            index,
            [156, 100, 16],
            [words(r[100:] * 257) for r in ramps],
            "",
            [r[np.maximum(steps, 100)] for r in ramps],
        ),
        "discrete segments": (
            index,
            [256, 0, 16],
            [words(np.concatenate([[0, 256], r * 257])) for r in ramps],
            "Segmented",
            ramps,
        ),
        "a linear segment": (
            index,
            [256, 0, 16],
            [words([0, 1, 0, 1, 255, 255 * 257])] * 3,
            "Segmented",
            [steps] * 3,
        ),
        "an indirect segment": (
            index,
            [256, 0, 16],
            [words(part) for part in half],
            "Segmented",
            [np.concatenate([r[:128], r[:128]]) for r in ramps],
        ),
    }
    for name, (indices, descriptor, data, prefix, looked_up) in cases.items():
        tables: dict[str, Any] = {"PhotometricInterpretation": "PALETTE COLOR"}
        for tint, table in zip(("Red", "Green", "Blue"), data, strict=True):
            tables[f"{tint}PaletteColorLookupTableDescriptor"] = descriptor
            tables[f"{prefix}{tint}PaletteColorLookupTableData"] = table
        expected = np.stack(looked_up, -1)[index].astype(np.uint8)
        image = seen_both_ways(scan_of(indices, syntax=syntax, **tables))
        np.testing.assert_array_equal(image, expected, err_msg=f"{name}, {syntax}")


@pytest.mark.parametrize(
    "syntax", [ImplicitVRLittleEndian, ExplicitVRLittleEndian, ExplicitVRBigEndian]
)
def test_modality_and_voi_tables_are_applied_however_they_are_stored(syntax: str) -> None:
    order = ">" if syntax == ExplicitVRBigEndian else "<"
    for signed in (False, True):
        values = grey(16, 12, signed=signed).astype(f"{order}{'i' if signed else 'u'}2")
        first = int(values.min())
        curve = np.rint(65535 * (np.arange(4096) / 4095) ** 2).astype(int)
        voi = curve[values.astype(int) - first] * 255 / 65535
        modality = stretch(curve[values.astype(int) - first])
        for name, expected in (("VOILUTSequence", np.rint(voi)), ("ModalityLUTSequence", modality)):
            for data in (curve.astype(f"{order}u2").tobytes(), curve.tolist()):
                table = Dataset()
                table.LUTDescriptor, table.LUTData = [4096, first & 0xFFFF, 16], data
                table["LUTDescriptor"].VR = "US"
                table["LUTData"].VR = "OW" if isinstance(data, bytes) else "US"
                elements: dict[str, Any] = {"BitsStored": 12, name: [table], "WindowCenter": None}
                file = scan_of(values, syntax=syntax, **elements)
                image = seen_both_ways(file)[..., 0]
                np.testing.assert_array_equal(image, expected, err_msg=f"{name} {signed} {syntax}")


def test_a_table_that_contradicts_its_descriptor_is_refused_by_name() -> None:
    values = grey(8, 8, signed=False)
    for name, descriptor, entries, named in (
        ("VOILUTSequence", [256, 0, 8], np.arange(256) * 200, "LUTDescriptor"),
        ("ModalityLUTSequence", [300, 0, 16], np.arange(256), "LUTData"),
        ("VOILUTSequence", [256, 0], np.arange(256), "LUTDescriptor"),
    ):
        table = Dataset()
        table.LUTDescriptor, table.LUTData = descriptor, entries.astype("<u2").tobytes()
        table["LUTDescriptor"].VR, table["LUTData"].VR = "US", "OW"
        refused_both_ways(scan_of(values, **dict[str, Any]({name: [table]})), "corrupt", named)


def refused_both_ways(file: bytes, reason: str, named: str) -> None:
    """Refused for the same reason by the service and by ingest; the message names the element."""
    with pytest.raises(BadImage, match=named) as by_service:
        decode(file, limits=SMALL)
    with pytest.raises(BadImage) as by_ingest:
        decode(deidentify(file, NAMES), limits=SMALL)
    assert by_service.value.reason == by_ingest.value.reason == reason
    assert not re.search(r"\w+(Error|Exception)\b", str(by_service.value))


def readers_that_agree(file: bytes, values: Stored, folder: Path, *, gdcm: bool) -> list[str]:
    """Which of the other readers read the same stored values."""
    readers: dict[str, Callable[[], Stored]] = (
        {"gdcm": lambda: by_gdcm(file, folder)} if gdcm else {}
    )
    readers["dicomsdl"] = lambda: by_dicomsdl(file)
    agreeing = []
    for name, reader in readers.items():
        with suppress(ValueError, dicomsdl.DicomException):  # neither reads all variants
            if np.array_equal(reader().astype(np.int64), values.astype(np.int64)):
                agreeing.append(name)
    return agreeing

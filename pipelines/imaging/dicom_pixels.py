"""The pixel data of a DICOM file to stored values: of one frame, and of no other.

How many frames there are is counted in the pixel data itself, before anything is decoded.
"""

from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset
from pydicom.pixels import convert_color_space
from pydicom.uid import RLELossless

from pipelines.imaging import codestreams
from pipelines.imaging.dicom_elements import FLOATING
from pipelines.imaging.dicom_file import is_big_endian, syntax_of
from pipelines.imaging.dicom_layout import COLOUR, Layout, whole
from pipelines.imaging.info import FrameRule
from pipelines.imaging.reasons import refuse

ITEM, DELIMITER = b"\xfe\xff\x00\xe0", b"\xfe\xff\xdd\xe0"
MOST_FRAMES = 100_000
STRAY_BYTES = 16
"""Bytes behind uncompressed pixels that pass unasked; more must be padding, or Rows and Columns
may be wrong."""


class Frame(NamedTuple):
    """One frame as it is stored."""

    data: bytes
    compressed: bool
    place: int
    """Which frame of the file it is, from 0."""


class Values(NamedTuple):
    """The stored values of one frame."""

    samples: NDArray[Any]
    """(rows, columns), or (rows, columns, 3) red, green and blue; signed or unsigned integers."""
    bits: int
    """Bits in use."""
    padding: NDArray[np.bool_] | None
    """Where there is no image (grey only); ``None`` without a padding value."""
    words: NDArray[Any]
    """As stored, unsigned, with bits that are not in use."""


def frame_of(dataset: Dataset, layout: Layout, rule: FrameRule) -> Frame:
    """Find the frame that the rule names.

    Raises:
        BadImage: there are several frames and the rule names none (``multi_frame``); there are
            fewer bytes or frames than the header says (``truncated``), or other ones
            (``corrupt``).
    """
    if "PixelData" not in dataset:
        if any(keyword in dataset for keyword in FLOATING):
            raise refuse("unsupported", "Floating-point DICOM pixels are not read.")
        raise refuse("truncated", "The DICOM file ends before its pixels (PixelData).")
    data, syntax = dataset["PixelData"].value or b"", syntax_of(dataset)
    if syntax is not None and not syntax.is_transfer_syntax:
        raise refuse(
            "unsupported",
            "TransferSyntaxUID (0002,0010) names no transfer syntax of the standard.",
        )
    if data.startswith(ITEM):
        frames = _compressed_frames(data, rle=syntax == RLELossless)
        compressed = True
    else:
        if syntax is not None and syntax.is_encapsulated:
            raise refuse(
                "corrupt",
                f"TransferSyntaxUID (0002,0010) says that the pixels are compressed "
                f"({syntax.name}), but PixelData is not.",
            )
        frames = _native_frames(_in_bytes(data, dataset, layout), layout)
        compressed = False
    if rule == "single" and layout.frames > 1:
        _chosen(dataset, layout, max(layout.frames, len(frames)), rule)
    if len(frames) < layout.frames:
        raise refuse(
            "truncated",
            f"NumberOfFrames (0028,0008) is {layout.frames}, the DICOM file holds {len(frames)}.",
        )
    index = _chosen(dataset, layout, len(frames), rule)
    return Frame(frames[index], compressed, index)


def values_of(frame: Frame, dataset: Dataset, layout: Layout) -> Values:
    """Decode a frame.

    Raises:
        BadImage: see `pipelines.imaging.decode`.
    """
    colour = layout.photometric in COLOUR
    rgb, bits = layout.photometric == "RGB", layout.stored
    if not frame.compressed:
        words = _native(frame.data, layout)
    elif syntax_of(dataset) == RLELossless:
        words = codestreams.decode_rle(frame.data, layout)
    else:
        words, precision, rgb = codestreams.decode(frame.data, layout, name=_syntax_name(dataset))
        bits = min(precision, layout.stored)
        if precision <= layout.high:
            layout = replace(layout, high=layout.stored - 1)  # the stream has no bits below
        if precision not in (bits, layout.high + 1, layout.allocated):
            raise refuse(
                "corrupt",
                f"BitsStored (0028,0101) is {layout.stored}, the compressed image inside has "
                f"{precision} bits.",
            )
    if colour:
        samples = layout.used(words, bits)
        if bits > 8:
            samples = samples >> (bits - 8)
        samples = samples.astype(np.uint8)
        if not rgb:
            samples = convert_color_space(samples, "YBR_FULL", "RGB")
        return Values(samples, 8, None, words)
    samples = layout.used(words, bits)
    return Values(samples, bits, _padding(samples, words, dataset, layout), words)


def cleared(values: Values, layout: Layout) -> NDArray[Any]:
    """The words of a frame without what the bits that are not in use hold.

    Retired overlays, which can be text, were stored there. Now they extend the sign, or are 0.
    Padding words keep all their bits, for these are part of the padding value.
    """
    if layout.samples > 1:
        return np.asarray(values.words & np.asarray(layout.mask, values.words.dtype))
    top = (1 << layout.allocated) - 1
    words = ((values.samples.astype(np.int64) << layout.shift) & top).astype(values.words.dtype)
    if values.padding is not None and values.padding.any():
        words = np.where(values.padding, values.words, words)
    return words


def _padding(
    samples: NDArray[Any], words: NDArray[Any], dataset: Dataset, layout: Layout
) -> NDArray[np.bool_] | None:
    """Where a grey image is padding: one value or a range (PS3.3, C.7.5.1.1.2).

    Writers give the value with or without a sign, whatever the pixels have.
    """
    if dataset.get("PixelPaddingValue") in (None, ""):
        return None
    first = whole(dataset, "PixelPaddingValue")
    last = whole(dataset, "PixelPaddingRangeLimit", default=first)
    low, high = sorted((_as_stored(first, layout), _as_stored(last, layout)))
    word = low & ((1 << layout.allocated) - 1)
    if low == high and int(layout.used(np.array(word, words.dtype))) != low:
        # the value needs bits that are not in use: it can only be the whole word
        return np.asarray(words == word)
    return np.asarray((samples >= low) & (samples <= high))


def _as_stored(value: int, layout: Layout) -> int:
    """A padding value with the sign that the pixels have."""
    top = 1 << layout.allocated
    if layout.signed and value >= top // 2:
        return value - (top if value < top else 1 << 16)
    return value + top if value < 0 and not layout.signed else value


def _chosen(dataset: Dataset, layout: Layout, count: int, rule: FrameRule) -> int:
    if count == 1 or rule == "first":
        return 0
    if rule == "middle":
        return count // 2
    if rule == "key":
        key = whole(dataset, "RepresentativeFrameNumber", default=0)
        if 1 <= key <= count:
            return key - 1
        raise refuse(
            "multi_frame",
            f"This DICOM file holds {count} frames, and RepresentativeFrameNumber (0028,6010) "
            "names none of them.",
        )
    said = "" if layout.frames == count else f" (NumberOfFrames says {layout.frames})"
    raise refuse(
        "multi_frame",
        f"This DICOM file holds {count} frames{said}; land the ones to use as single files, or "
        "set limits.frames.",
    )


def _syntax_name(dataset: Dataset) -> str:
    syntax = syntax_of(dataset)
    return "nothing that is known" if syntax is None else syntax.name


def _in_bytes(data: bytes, dataset: Dataset, layout: Layout) -> bytes:
    """Uncompressed pixels with the low byte first."""
    if not is_big_endian(dataset):
        return data
    if layout.allocated == 16 or dataset["PixelData"].VR == "OW":
        return np.frombuffer(data[: len(data) & ~1], np.uint16).byteswap().tobytes()
    return data


def _native_frames(data: bytes, layout: Layout) -> list[bytes]:
    size = layout.frame_bytes
    count = len(data) // size
    if not count:
        raise refuse(
            "truncated",
            f"PixelData (7FE0,0010) has {len(data):,} bytes, its header says {size:,} (Rows, "
            "Columns, SamplesPerPixel, BitsAllocated).",
        )
    rest = data[count * size :]
    if len(rest) > STRAY_BYTES and len(set(rest)) > 1:
        raise refuse(
            "corrupt",
            f"PixelData (7FE0,0010) has {len(rest):,} bytes more than its header says (Rows, "
            "Columns, SamplesPerPixel, BitsAllocated).",
        )
    if count > layout.frames and len(set(data[layout.frames * size :])) == 1:
        count = layout.frames  # padding as long as a frame
    return [data[at : at + size] for at in range(0, min(count, MOST_FRAMES) * size, size)]


def _compressed_frames(data: bytes, *, rle: bool) -> list[bytes]:
    """The frames of encapsulated pixels (PS3.5, A.4), each of its fragments together."""
    fragments, at = [], 0
    while at + 8 <= len(data) and data[at : at + 4] == ITEM:
        length = int.from_bytes(data[at + 4 : at + 8], "little")
        if at + 8 + length > len(data):
            raise refuse("truncated", "The compressed DICOM pixels are cut off.")
        fragments.append(data[at + 8 : at + 8 + length])
        at += 8 + length
    if data[at:].strip(b"\0") and not data[at:].startswith(DELIMITER):
        raise refuse("corrupt", "The compressed DICOM pixels are not in items (PS3.5, A.4).")
    frames: list[list[bytes]] = []
    for fragment in fragments[1:]:  # the first is the table of offsets
        if not fragment:
            continue
        if rle or not frames or codestreams.starts_stream(fragment):
            frames.append([])
        frames[-1].append(fragment)
        if len(frames) > MOST_FRAMES:
            raise refuse("multi_frame", f"This DICOM file holds more than {MOST_FRAMES:,} frames.")
    if not frames:
        raise refuse("truncated", "The DICOM file holds no compressed pixels in PixelData.")
    return [b"".join(parts) for parts in frames]


def _native(data: bytes, layout: Layout) -> NDArray[Any]:
    """Uncompressed words, (rows, columns) or (rows, columns, 3)."""
    words = np.frombuffer(data, "<u2" if layout.allocated == 16 else np.uint8)
    shape = (layout.rows, layout.columns)
    if layout.samples == 1:
        return words.reshape(shape)
    if layout.photometric == "YBR_FULL_422":
        if layout.columns % 2:
            raise refuse("unsupported", "YBR_FULL_422 with an odd number of Columns is not read.")
        pairs = words.reshape(-1, 4)
        full = np.stack([pairs[:, [0, 2, 3]], pairs[:, [1, 2, 3]]], axis=1)
        return full.reshape(*shape, 3)
    if layout.planar:
        return words.reshape(3, *shape).transpose(1, 2, 0)
    return words.reshape(*shape, 3)

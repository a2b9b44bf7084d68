"""Compressed streams inside DICOM: JPEG, lossless JPEG, JPEG-LS, JPEG 2000 and RLE.

What a stream is, is read from the stream itself: transfer syntaxes are sometimes wrong.
"""

import io
from itertools import pairwise
from typing import Any, NamedTuple

import jpeg_ls
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from pipelines.errors import BadImage
from pipelines.imaging import jpeg, jpeg_lossless
from pipelines.imaging.dicom_layout import Layout
from pipelines.imaging.reasons import refuse

JPEG_START = b"\xff\xd8\xff"
JPEG_2000_STARTS = (b"\xff\x4f\xff\x51", b"\0\0\0\x0cjP  ")
SIZE, CODING, COMMENT_2000, TILE = b"\xff\x51", b"\xff\x52", b"\xff\x64", b"\xff\x90"
END = b"\xff\xd9"
RLE_HEADER = 64


class Decoded(NamedTuple):
    """What a stream holds."""

    samples: NDArray[Any]
    """Unsigned words, (rows, columns) or (rows, columns, 3)."""
    precision: int
    """Bits of a sample, by the stream."""
    rgb: bool
    """Whether three components are red, green and blue already."""


def starts_stream(data: bytes) -> bool:
    """Whether a fragment begins a JPEG or JPEG 2000."""
    return data.startswith((JPEG_START, *JPEG_2000_STARTS))


def decode(stream: bytes, layout: Layout, *, name: str) -> Decoded:
    """Decode one frame, after its header was compared with the file's.

    Args:
        stream: the frame.
        layout: what the file says of it.
        name: of the file's transfer syntax, for the message.

    Raises:
        BadImage: see `pipelines.imaging.decode`.
    """
    if starts_stream(stream):
        jpeg_2000 = stream.startswith(JPEG_2000_STARTS)
        try:
            return _jpeg_2000(stream, layout) if jpeg_2000 else _jpeg(stream, layout)
        except BadImage:
            raise
        except Exception as error:  # the libraries promise no type for damaged streams
            whole = stream.rstrip(b"\0").endswith(END)
            raise refuse(
                "corrupt" if whole else "truncated",
                "The compressed image in PixelData (7FE0,0010) "
                + ("has wrong bytes." if whole else "is cut off."),
            ) from error
    raise refuse(
        "unsupported",
        f"The pixels are compressed as {name} (TransferSyntaxUID); read are uncompressed, "
        "deflated, RLE, JPEG, JPEG-LS and JPEG 2000.",
    )


def _jpeg(stream: bytes, layout: Layout) -> Decoded:
    frame = jpeg.frame_of(stream)
    _require_agreement(layout, frame.width, frame.height, len(frame.components), frame.precision)
    if frame.marker == jpeg.LOSSLESS:
        samples: NDArray[Any] = jpeg_lossless.decode(stream, frame)
        return Decoded(_squeezed(samples), frame.precision, layout.photometric == "RGB")
    if frame.marker == jpeg.JPEG_LS:
        samples = jpeg_ls.decode(np.frombuffer(stream, np.uint8))
        if samples.ndim == 3 and samples.shape[0] == 3 != samples.shape[2]:
            samples = samples.transpose(1, 2, 0)
        return Decoded(_squeezed(samples), frame.precision, layout.photometric == "RGB")
    if frame.marker not in jpeg.HUFFMAN or frame.precision != 8:
        raise refuse(
            "unsupported",
            f"The JPEG inside the DICOM file is {frame.name} with {frame.precision} bits; read "
            "are baseline, extended and progressive with 8, lossless and JPEG-LS with up to 16.",
        )
    jpeg.require_complete(stream, frame)
    image = Image.open(io.BytesIO(stream), formats=("JPEG",))
    declared = layout.photometric == "RGB"
    if image.mode == "RGB" and declared and jpeg.is_rgb(stream, frame, declared_rgb=True):
        names = bytes(component[0] for component in frame.components)
        if not _has_colour_marker(stream) and names != b"RGB":
            image.draft("YCbCr", image.size)  # libjpeg would guess YCbCr: take the samples as is
    return Decoded(np.asarray(image), 8, rgb=True)


def _has_colour_marker(stream: bytes) -> bool:
    for marker, _, content in jpeg.segments(stream):
        if marker == jpeg.SCAN:
            return False
        if content.startswith((b"JFIF\0", b"Adobe")):
            return True
    return False


def _jpeg_2000(stream: bytes, layout: Layout) -> Decoded:
    at = stream.find(SIZE)
    if at < 0 or len(stream) < at + 41:
        raise refuse("truncated", "The JPEG 2000 inside the DICOM file ends in its header.")
    right, bottom, left, top = (
        int.from_bytes(stream[place : place + 4]) for place in range(at + 6, at + 22, 4)
    )
    count = int.from_bytes(stream[at + 38 : at + 40])
    depth = stream[at + 40]
    precision, signed = (depth & 127) + 1, bool(depth & 128)
    _require_agreement(layout, right - left, bottom - top, count, precision)
    if stream[at + 40 : at + 40 + 3 * count] != bytes([depth, 1, 1]) * count:
        raise refuse("unsupported", "JPEG 2000 with subsampled or unlike components is not read.")
    with Image.open(io.BytesIO(stream), formats=("JPEG2000",)) as image:
        samples: NDArray[Any] = np.asarray(image)
    if count == 3:
        # Pillow has shifted the samples to 8 bits; it and OpenJPEG have undone the stream's own
        # colour transform
        transformed = stream[stream.find(CODING) + 8 : stream.find(CODING) + 9] == b"\x01"
        return Decoded(samples, 8, transformed or not layout.photometric.startswith("YBR_FULL"))
    if precision < 8:
        samples = samples >> (8 - precision)  # Pillow has spread them over 8 bits
    if signed:  # Pillow has moved the middle to 0
        samples = (samples.astype(np.uint16) - (1 << (precision - 1))) & ((1 << precision) - 1)
    return Decoded(samples, precision, rgb=False)


def _squeezed(samples: NDArray[Any]) -> NDArray[Any]:
    return samples[..., 0] if samples.ndim == 3 and samples.shape[2] == 1 else samples


def _require_agreement(
    layout: Layout, width: int, height: int, components: int, precision: int
) -> None:
    """The limits were checked on what the header says: the compressed image must agree."""
    if (width, height) != (layout.columns, layout.rows):
        raise refuse(
            "corrupt",
            f"The DICOM header says {layout.columns} x {layout.rows} pixels (Columns, Rows), "
            f"the compressed image inside is {width} x {height}.",
        )
    if components != layout.samples:
        raise refuse(
            "corrupt",
            f"SamplesPerPixel (0028,0002) is {layout.samples}, the compressed image inside has "
            f"{components}.",
        )
    if precision > layout.allocated:
        raise refuse(
            "corrupt",
            f"BitsAllocated (0028,0100) is {layout.allocated}, the compressed image inside has "
            f"{precision} bits.",
        )


def decode_rle(data: bytes, layout: Layout) -> NDArray[Any]:
    """Decode one frame of RLE (PS3.5, G).

    Returns:
        Unsigned words, (rows, columns) or (rows, columns, 3).

    Raises:
        BadImage: the segments are not those of the header (``corrupt``) or end too early
            (``truncated``).
    """
    width = layout.allocated // 8
    expected = layout.samples * width
    offsets = np.frombuffer(data[:RLE_HEADER].ljust(RLE_HEADER, b"\0"), "<u4").tolist()
    if offsets[0] != expected or len(data) < RLE_HEADER:
        raise refuse(
            "corrupt",
            f"The RLE pixels have {offsets[0]} segments; {expected} are right for "
            "SamplesPerPixel and BitsAllocated.",
        )
    bounds = [*offsets[1 : 1 + expected], len(data)]
    if sorted(bounds) != bounds:
        raise refuse("corrupt", "The segments of the RLE pixels are not in order.")
    pixels = layout.rows * layout.columns
    planes = [
        np.frombuffer(_unpacked(data[begin:end], pixels), np.uint8)
        for begin, end in pairwise(bounds)
    ]
    words = np.stack(planes, axis=-1)  # the high byte of a word first
    words = words.reshape(layout.rows, layout.columns, layout.samples, width)
    words = words.view(">u2")[..., 0] if width == 2 else words[..., 0]
    return _squeezed(words.astype(words.dtype.newbyteorder("=")))


def _unpacked(packed: bytes, length: int) -> bytes:
    """PackBits (PS3.5, G.3.1), up to a length; more than that is padding."""
    unpacked, at = bytearray(), 0
    while len(unpacked) < length:
        if at >= len(packed):
            raise refuse("truncated", "The RLE pixels end before the image does.")
        head = packed[at]
        if head < 128:
            literal = packed[at + 1 : at + 2 + head]
            if len(literal) < head + 1 and len(unpacked) + len(literal) < length:
                raise refuse("truncated", "The RLE pixels end before the image does.")
            unpacked += literal
            at += 2 + head
        elif head > 128:
            unpacked += packed[at + 1 : at + 2] * (257 - head)
            at += 2
        else:
            at += 1
    return bytes(unpacked[:length])


def without_metadata(stream: bytes) -> bytes:
    """A stream without comments and what else its pixels do not need."""
    if stream.startswith(JPEG_START):
        return jpeg.without_metadata(stream)
    begin = stream.find(JPEG_2000_STARTS[0])
    if begin < 0:
        return stream
    kept, at = [stream[begin : begin + 2]], begin + 2
    while (marker := stream[at : at + 2]) != TILE and at + 4 <= len(stream):
        end = at + 2 + int.from_bytes(stream[at + 2 : at + 4])
        if marker != COMMENT_2000:
            kept.append(stream[at:end])
        at = end
    finish = stream.rfind(END)
    return b"".join([*kept, stream[at : finish + 2 if finish > at else None]])

"""Broken and odd files, all made here: what a service on a hospital's network is sent one day."""

import io
import random
import struct
import zipfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from PIL import Image
from pydicom.uid import DeflatedExplicitVRLittleEndian, JPEG2000Lossless

from tests.pipelines.imaging.pictures import chunk, colours, deep, file_of, greys, png_of
from tests.pipelines.imaging.scans import (
    compressed_scan,
    header_of,
    jpeg_scan,
    rle_scan,
    scan_of,
    written,
)
from tests.serving.markers import places

COLOURS, GREYS = colours(), greys()
PICTURE = Image.fromarray(COLOURS)
ORIENTATION = 0x0112
FLIPS_PER_FILE = 12

WHOLE: dict[str, tuple[str, bytes]] = {
    "jpeg": ("JPEG", file_of(COLOURS, "JPEG", comment=b"a comment")),
    "progressive jpeg": ("JPEG", file_of(COLOURS, "JPEG", progressive=True)),
    "jpeg with restarts": ("JPEG", file_of(COLOURS, "JPEG", restart_marker_rows=1)),
    "png": ("PNG", file_of(COLOURS, "PNG", dpi=(72, 72))),
    "palette png": ("PNG", file_of(PICTURE.quantize(64), "PNG")),
    "webp": ("WEBP", file_of(COLOURS, "WEBP", exif=b"Exif\0\0II*\0\x08\0\0\0\0\0\0\0\0\0")),
    "lossless webp": ("WEBP", file_of(COLOURS, "WEBP", lossless=True)),
    "tiff": ("TIFF", file_of(COLOURS, "TIFF")),
    "lzw tiff": ("TIFF", file_of(COLOURS, "TIFF", compression="tiff_lzw")),
    "bmp": ("BMP", file_of(COLOURS, "BMP")),
    "dicom": ("DICOM", scan_of(GREYS)),
    "rle dicom": ("DICOM", rle_scan(GREYS)),
    "jpeg dicom": ("DICOM", jpeg_scan(GREYS, file_of(GREYS, "JPEG"))),
}
"""Name → format and bytes of files that are all right."""


@dataclass(frozen=True)
class Case:
    """One file, and what may become of it."""

    name: str
    data: bytes
    codes: frozenset[str] | None = None
    """The reasons with which it must be refused; empty: it must be answered; `None`: either."""
    same_as: bytes | None = None
    """If answered, then as this file is."""


def cases() -> list[Case]:
    """All of them, in the same order each time."""
    return [*_cut(), *_flipped(), *_refused(), *_bombs(), *_answered(), *_polyglots()]


def _cut() -> Iterator[Case]:
    for name, (format, data) in WHOLE.items():
        for place in places(data, format):
            yield Case(f"{name} cut at {place} of {len(data)}", data[:place], same_as=data)


def _flipped() -> Iterator[Case]:
    for name, (_, data) in WHOLE.items():
        lots = random.Random(name)
        for number in range(FLIPS_PER_FILE):
            bits = bytearray(data)
            for _ in range(lots.choice([1, 1, 4, 20])):
                bits[lots.randrange(len(bits))] ^= 1 << lots.randrange(8)
            yield Case(f"{name} with flipped bits {number}", bytes(bits))


def _refused() -> Iterator[Case]:
    animated: dict[str, Any] = {"save_all": True, "append_images": [_other()], "duration": 100}
    structure = header_of(GREYS, Rows=None, Columns=None)
    wanted = {
        "one zero": (b"\0", "unknown_format"),
        "a page of zeros": (bytes(4096), "unknown_format"),
        "text": (b"Dear colleague, the images are on the way.", "unknown_format"),
        "a GIF": (file_of(GREYS, "GIF"), "unknown_format"),
        "an animated GIF": (_saved("GIF", **animated), "unknown_format"),
        "an animated PNG": (_saved("PNG", **animated), "multi_frame"),
        "an animated WebP": (_saved("WEBP", **animated), "multi_frame"),
        "a JPEG 2000": (_saved("JPEG2000"), "unknown_format"),
        "an AVIF": (_saved("AVIF"), "unknown_format"),
        "an SVG": (b"<svg xmlns='http://www.w3.org/2000/svg'/>", "unknown_format"),
        "a PDF": (b"%PDF-1.7\n%\xe2\xe3\xcf\xd3\n", "unknown_format"),
        "an ELF program": (b"\x7fELF\x02\x01\x01" + bytes(57), "unknown_format"),
        "a gzip file": (b"\x1f\x8b\x08" + bytes(20), "unknown_format"),
        "a pickle": (b"\x80\x04\x95\x10\0\0\0\0\0\0\0\x8c\x02os.", "unknown_format"),
        "a stamp": (file_of(greys(4, 60), "PNG"), "too_small"),
        "floating-point pixels": (file_of(deep().astype(np.float32), "TIFF"), "unsupported"),
        "Lab colours": (file_of(PICTURE.convert("LAB"), "TIFF"), "unsupported"),
        "a report in DICOM": (written(structure, "1.2.840.10008.1.2.1"), "no_pixels"),
        "a DICOM film": (scan_of(GREYS, NumberOfFrames=4), "multi_frame"),
    }
    for name, (data, code) in wanted.items():
        yield Case(name, data, frozenset({code}))


def _bombs() -> Iterator[Case]:
    """A few bytes that say they are many: none may be believed, nor unpacked."""
    zeros = zlib.compress(bytes(1 << 24), 9)
    deflated = written(header_of(GREYS), DeflatedExplicitVRLittleEndian)
    comment = chunk(b"zTXt", b"a\0\0" + zlib.compress(bytes(100_000_000)))
    wanted = {
        "a PNG of 400 million pixels": _claimed_png(20_000, 20_000),
        "a PNG of 4 billion a side": _claimed_png(2**31 - 1, 2**31 - 1),
        "a PNG with a comment of 100 MB": png_of(
            GREYS, size=(64, 48), bits=8, colour=0, before=comment
        ),
        "a TIFF of 400 million pixels": _claimed_tiff(20_000),
        "a BMP of 400 million pixels": _claimed_bmp(20_000),
        "a WebP of 268 million pixels": _claimed_webp(16_383),
        "a DICOM of 400 million pixels": scan_of(GREYS, Rows=20_000, Columns=20_000),
        "a DICOM of 2 GB in RLE": compressed_scan(
            GREYS, zeros, syntax="1.2.840.10008.1.2.5", Rows=60_000, Columns=60_000
        ),
        "a DICOM around another size": jpeg_scan(GREYS, file_of(colours(400, 600), "JPEG")),
        "a DICOM around a huge JPEG 2000": compressed_scan(
            GREYS, file_of(colours(900, 900), "JPEG2000"), syntax=JPEG2000Lossless
        ),
        "a deflated DICOM": deflated + zeros,
    }
    refused = frozenset({"too_large", "corrupt", "unsupported", "truncated"})
    for name, data in wanted.items():
        yield Case(name, data, refused)


def _claimed_png(width: int, height: int) -> bytes:
    return png_of(np.zeros((1, 10), np.uint8), size=(width, height), bits=8, colour=0)


def _claimed_tiff(side: int) -> bytes:
    data = bytearray(file_of(GREYS, "TIFF"))
    (directory,) = struct.unpack("<I", data[4:8])
    for entry in range(2):  # width and height come first
        place = directory + 2 + 12 * entry + 8
        data[place : place + 4] = struct.pack("<I", side)
    return bytes(data)


def _claimed_bmp(side: int) -> bytes:
    data = bytearray(file_of(COLOURS, "BMP"))
    data[18:26] = struct.pack("<ii", side, side)
    return bytes(data)


def _claimed_webp(side: int) -> bytes:
    """The size stands in 14 bits each behind the frame's start code (RFC 6386, 9.1)."""
    data = bytearray(file_of(COLOURS, "WEBP"))
    place = data.index(b"\x9d\x01\x2a") + 3
    data[place : place + 4] = struct.pack("<HH", side, side)
    return bytes(data)


def _answered() -> Iterator[Case]:
    """Odd, but pictures all the same."""
    wanted = {
        "CMYK JPEG": file_of(PICTURE.convert("CMYK"), "JPEG"),
        "CMYK TIFF": file_of(PICTURE.convert("CMYK"), "TIFF"),
        "grey JPEG": file_of(GREYS, "JPEG"),
        "black and white PNG": file_of(PICTURE.convert("1"), "PNG"),
        "grey PNG with alpha": file_of(PICTURE.convert("LA"), "PNG"),
        "PNG with alpha": file_of(PICTURE.convert("RGBA"), "PNG"),
        "interlaced palette PNG": file_of(PICTURE.quantize(7), "PNG", interlace=1),
        "16-bit PNG": file_of(deep(), "PNG"),
        "16-bit TIFF": file_of(deep(), "TIFF"),
        "16-bit DICOM": scan_of(deep(), BitsStored=12),
        "signed DICOM": scan_of(deep().astype(np.int16)),
        "inverted DICOM": scan_of(GREYS, PhotometricInterpretation="MONOCHROME1"),
        "colour DICOM": scan_of(COLOURS),
        "one shade": file_of(np.zeros((40, 40), np.uint8), "PNG"),
        "a long strip": file_of(greys(8, 4000), "PNG"),
        "two pages": _saved("TIFF", save_all=True, append_images=[_other()]),
        "MPO": _saved("MPO", save_all=True, append_images=[_other()]),
    }
    for name, data in wanted.items():
        yield Case(name, data, frozenset())
    for turn in range(1, 9):
        exif = Image.Exif()
        exif[ORIENTATION] = turn
        for format in ("JPEG", "PNG", "WEBP", "TIFF"):
            yield Case(f"{format} turned {turn}", _saved(format, exif=exif), frozenset())


def _saved(format: str, **options: Any) -> bytes:
    """The picture as a file; from a new image each time, as Pillow keeps a format's settings."""
    return file_of(Image.fromarray(COLOURS), format, **options)


def _other() -> Image.Image:
    return Image.fromarray(255 - COLOURS)


def _polyglots() -> Iterator[Case]:
    """Two files in one: what it is said to be by its first bytes, or nothing."""
    jpeg, png = WHOLE["jpeg"][1], WHOLE["png"][1]
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as file:
        file.writestr(zipfile.ZipInfo("index.html"), "<script>alert(1)</script>")
    page = b"<html><script>alert(1)</script></html>"
    yield Case("a JPEG with a ZIP behind it", jpeg + archive.getvalue(), same_as=jpeg)
    yield Case("a PNG with a ZIP behind it", png + archive.getvalue(), same_as=png)
    yield Case("a PNG with a JPEG behind it", png + jpeg, same_as=png)
    yield Case("a JPEG with a page as comment", file_of(COLOURS, "JPEG", comment=page), frozenset())
    text = png_of(COLOURS, size=(64, 48), bits=8, colour=2, before=chunk(b"tEXt", b"a\0" + page))
    yield Case("a PNG with a page as comment", text, frozenset())
    foreign = frozenset({"unknown_format"})
    yield Case("a PDF with a JPEG in it", b"%PDF-1.7\n" + jpeg, foreign)
    yield Case("a page with a PNG behind it", page + png, foreign)
    yield Case("a ZIP with a JPEG behind it", archive.getvalue() + jpeg, foreign)
    dicom = bytearray(WHOLE["dicom"][1])
    dicom[:8] = b"II*\0\x08\0\0\0"
    yield Case("a DICOM that begins like a TIFF", bytes(dicom), same_as=WHOLE["dicom"][1])

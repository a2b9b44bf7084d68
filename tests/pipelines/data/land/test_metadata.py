"""What identifies a patient is removed from image files, and no pixel changes."""

import io
import struct
import zlib
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import numpy as np
import pytest
from PIL import ExifTags, Image, TiffImagePlugin
from PIL.PngImagePlugin import PngInfo

from pipelines import imaging
from pipelines.data.land import metadata
from pipelines.errors import BadImage

SECRET = b"Jane Doe 1957"
NAME = SECRET.decode()
PROFILE = b"\0\0\0\x80" + b"a colour profile" * 8
XMP = b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><dc:creator>' + SECRET + b"</dc:creator></x:xmpmeta>"


def picture(mode: str = "RGB") -> Image.Image:
    """Noise that has no symmetry, 48 x 40."""
    noise = np.random.default_rng(7).integers(0, 256, (40, 48, 4), np.uint8)
    return Image.fromarray(noise).convert(mode)


def exif(orientation: int = 1) -> Image.Exif:
    """Names, a comment, a place and a serial number."""
    found = Image.Exif()
    found[ExifTags.Base.Orientation] = orientation
    found[ExifTags.Base.Artist] = NAME
    found[ExifTags.Base.ImageDescription] = NAME
    found.get_ifd(ExifTags.IFD.Exif)[ExifTags.Base.BodySerialNumber] = NAME
    found.get_ifd(ExifTags.IFD.GPSInfo)[ExifTags.GPS.GPSAreaInformation] = SECRET
    return found


def saved(image: Image.Image, format: str, **options: Any) -> bytes:
    target = io.BytesIO()
    image.save(target, format, **options)
    return target.getvalue()


def jpeg(orientation: int = 1, mode: str = "RGB", **options: Any) -> bytes:
    data = saved(
        *(picture(mode), "JPEG"),
        exif=exif(orientation),
        comment=SECRET,
        icc_profile=PROFILE,
        xmp=XMP,
        **options,
    )
    iptc = b"Photoshop 3.0\x008BIM\x04\x04\0\0\0\0\0\x0d" + SECRET
    iptc = b"\xff\xed" + (len(iptc) + 2).to_bytes(2) + iptc
    return data[:2] + iptc + data[2:] + SECRET + saved(picture(), "JPEG", comment=SECRET)


def png(orientation: int = 1, mode: str = "RGB") -> bytes:
    texts = PngInfo()
    texts.add_text("Comment", NAME)
    texts.add_text("Patient", NAME, zip=True)
    texts.add_itxt("XML:com.adobe.xmp", XMP.decode())
    return (
        saved(picture(mode), "PNG", pnginfo=texts, exif=exif(orientation), icc_profile=PROFILE)
        + SECRET
    )


def webp(orientation: int = 1) -> bytes:
    options = {"lossless": True, "exif": exif(orientation), "xmp": XMP, "icc_profile": PROFILE}
    return saved(picture("RGBA"), "WEBP", **options) + SECRET


def tiff(orientation: int = 1, mode: str = "RGB", **options: Any) -> bytes:
    tags = TiffImagePlugin.ImageFileDirectory_v2()
    tags[ExifTags.Base.Orientation] = orientation
    tags[ExifTags.Base.Artist] = NAME
    tags[ExifTags.Base.ImageDescription] = NAME
    tags[ExifTags.Base.Copyright] = NAME
    tags[65000] = NAME
    tags.tagtype[65000] = 2
    data = saved(picture(mode), "TIFF", tiffinfo=tags, icc_profile=PROFILE, **options)
    return data + SECRET


def bmp(mode: str = "RGB") -> bytes:
    data = bytearray(saved(picture(mode), "BMP"))
    offset = int.from_bytes(data[10:14], "little")
    data[10:14] = (offset + len(SECRET)).to_bytes(4, "little")
    return bytes(data[:offset]) + SECRET + bytes(data[offset:]) + SECRET


FILES: dict[str, Callable[[], bytes]] = {
    "jpeg": jpeg,
    "jpeg grey": lambda: jpeg(mode="L"),
    "jpeg cmyk": lambda: jpeg(mode="CMYK"),
    "jpeg progressive": lambda: jpeg(progressive=True),
    "jpeg restarts": lambda: jpeg(restart_marker_rows=1),
    "png": png,
    "png palette": lambda: png(mode="P"),
    "png alpha": lambda: png(mode="RGBA"),
    "png 16 bits": lambda: png(mode="I;16"),
    "webp": webp,
    "tiff": tiff,
    "tiff grey": lambda: tiff(mode="L"),
    "tiff palette": lambda: tiff(mode="P"),
    "tiff lzw": lambda: tiff(compression="tiff_lzw"),
    "tiff deflate": lambda: tiff(compression="tiff_adobe_deflate"),
    "tiff jpeg": lambda: tiff(compression="jpeg"),
    "tiff strips": lambda: tiff(strip_size=48 * 3 * 2),
    "big tiff": lambda: tiff(big_tiff=True),
    "bmp": bmp,
    "bmp palette": lambda: bmp("P"),
}


@pytest.mark.parametrize("name", FILES)
def test_what_identifies_goes_and_pixels_stay(name: str) -> None:
    data = FILES[name]()
    assert SECRET in data

    kept = metadata.stripped(data)

    assert SECRET not in kept
    assert SECRET not in _unpacked(kept)
    assert np.array_equal(imaging.decode(kept), imaging.decode(data))
    assert imaging.inspect(kept) == imaging.inspect(data)
    assert metadata.stripped(kept) is kept
    before, after = (Image.open(io.BytesIO(one)).info for one in (data, kept))
    assert after.get("icc_profile") == before.get("icc_profile")


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("make", [jpeg, png, webp, tiff])
def test_an_image_stays_turned_as_it_was(make: Callable[[int], bytes], orientation: int) -> None:
    data = make(orientation)

    kept = metadata.stripped(data)

    assert SECRET not in kept
    assert np.array_equal(imaging.decode(kept), imaging.decode(data))


def test_an_orientation_that_only_xmp_tells_stays() -> None:
    xmp = b'<x:xmpmeta tiff:Orientation="6">' + SECRET + b"</x:xmpmeta>"
    data = saved(picture(), "JPEG", xmp=xmp)

    kept = metadata.stripped(data)

    assert SECRET not in kept
    assert imaging.decode(kept).shape == imaging.decode(data).shape == (48, 40, 3)
    assert np.array_equal(imaging.decode(kept), imaging.decode(data))


@pytest.mark.parametrize(
    ("format", "options"),
    [
        ("JPEG", {}),
        ("JPEG", {"comment": b"CREATOR: gd-jpeg v1.0 (using IJG JPEG v62), quality = 100\n"}),
        ("JPEG", {"icc_profile": PROFILE}),
        ("PNG", {}),
        ("WEBP", {}),
        ("TIFF", {}),
        ("TIFF", {"compression": "tiff_lzw"}),
        ("BMP", {}),
    ],
)
def test_a_file_without_metadata_stays_the_same_bytes(format: str, options: dict[str, Any]) -> None:
    data = saved(picture(), format, **options)

    assert metadata.stripped(data) is data


def test_the_places_of_pixels_are_found_where_a_tiff_does_not_give_their_sizes() -> None:
    data = bytearray(tiff())
    place = struct.unpack_from("<I", data, 4)[0]
    count = struct.unpack_from("<H", data, place)[0]
    for at in range(place + 2, place + 2 + 12 * count, 12):
        if struct.unpack_from("<H", data, at)[0] == 279:
            struct.pack_into("<HHII", data, at, 279, 4, 1, 0)

    kept = metadata.stripped(bytes(data))

    assert np.array_equal(imaging.decode(kept), np.asarray(picture()))


@pytest.mark.parametrize("name", FILES)
def test_damaged_files_raise_nothing_but_our_error(name: str) -> None:
    data = FILES[name]()
    random = np.random.default_rng(0)
    for _ in range(60):
        broken = bytearray(data[: random.integers(4, len(data))])
        for at in random.integers(4, len(broken) + 1, 3):
            broken[min(at, len(broken) - 1)] = random.integers(256)
        with suppress(BadImage):
            metadata.stripped(bytes(broken))


def _unpacked(data: bytes) -> bytes:
    """The texts of a PNG that were compressed."""
    if not data.startswith(b"\x89PNG"):
        return b""
    at, found = 8, b""
    while at < len(data):
        size, kind = int.from_bytes(data[at : at + 4]), data[at + 4 : at + 8]
        if kind == b"zTXt":
            found += zlib.decompress(data[at + 8 : at + 8 + size].partition(b"\0")[2][1:])
        at += size + 12
    return found

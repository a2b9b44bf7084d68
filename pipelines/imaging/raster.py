"""JPEG, PNG, TIFF, BMP and WebP, read by Pillow (why Pillow: docs/decisions/decoder.md)."""

import io
import zlib
from contextlib import suppress
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import ExifTags, Image, ImageOps, TiffImagePlugin, UnidentifiedImageError

from pipelines.imaging import jpeg, tiff_header
from pipelines.imaging.depth import own_range, stretch, to_shades
from pipelines.imaging.info import Format, ImageInfo, Limits
from pipelines.imaging.reasons import refuse

GREY_DEEP = ("I;16", "I;16L", "I;16B", "I")
EIGHT_BIT = ("1", "L", "LA", "La", "P", "PA", "RGB", "RGBA", "RGBa", "CMYK", "YCbCr")
WHITE_IS_ZERO = 0
MOST_PAGES = 1000
RIFF_HEADER = 8
PNG_HEADER = slice(12, 29)
"""Kind and content of a PNG's first chunk; its checksum follows."""
PNG_DEPTH, PNG_COLOUR = 24, 25
GREY_ALPHA, RGBA = 4, 6


def inspect(data: bytes, format: Format) -> ImageInfo:
    """What the header says; see `pipelines.imaging.inspect`."""
    _require_variant(data, format)
    image = _open(data, format)
    bits = _bits(image, data)
    frames = _frames(image)
    width, height = _upright_size(image)
    return ImageInfo(
        format=format,
        width=width,
        height=height,
        mode=image.mode,
        channels=len(image.getbands()),
        bits=bits,
        frames=frames,
        notes=_notes(image, data, bits, frames),
    )


def pixels(data: bytes, info: ImageInfo, limits: Limits) -> NDArray[np.uint8]:  # noqa: ARG001
    """The picture, uint8 (height, width, 3); see `pipelines.imaging.decode`."""
    _require_whole(data, info.format)
    image = _open(data, info.format)
    if info.frames > 1 and info.format in ("PNG", "WEBP"):
        raise refuse("multi_frame", f"This {info.format} is an animation of {info.frames} frames.")
    if image.mode not in GREY_DEEP + EIGHT_BIT or info.bits > 16:
        raise refuse(
            "unsupported",
            f"Pixels of mode {image.mode} with {info.bits} bits are not read; "
            "save as 8 or 16-bit grey or 8-bit RGB.",
        )
    inverted = _is_white_zero(image)
    if _is_deep_grey_alpha(data, info.format):
        return _deep_on_black(*_grey_and_alpha(data))
    image = ImageOps.exif_transpose(image)
    if image.mode not in GREY_DEEP:
        return np.asarray(_on_black(image))
    values = np.asarray(image)
    clear = image.info.get("transparency") if info.format == "PNG" else None
    if clear is not None:
        return _deep_on_black(values, np.where(values == clear, 0, 65535))
    shades = stretch(values)
    return np.repeat((255 - shades if inverted else shades)[..., None], 3, axis=2)


def _open(data: bytes, format: Format) -> Image.Image:
    if format == "WEBP" and len(data) < RIFF_HEADER + int.from_bytes(data[4:8], "little"):
        raise refuse("truncated", "The WEBP file is shorter than it says: it was cut off.")
    return Image.open(io.BytesIO(data), formats=(format,))


def _frames(image: Image.Image) -> int:
    """How many pictures the file holds; pages of a TIFF are counted up to a thousand."""
    if not isinstance(image, TiffImagePlugin.TiffImageFile):
        return int(getattr(image, "n_frames", 1))
    # one by one, because ``n_frames`` follows a chain of millions of them for minutes
    count = 1
    with suppress(EOFError):
        while count < MOST_PAGES:
            image.seek(count)
            count += 1
    image.seek(0)
    return count


def _upright_size(image: Image.Image) -> tuple[int, int]:
    width, height = image.size
    if isinstance(image, TiffImagePlugin.TiffImageFile):
        return width, height  # turned by Pillow already
    # the base class's method, for that of PNG decodes all pixels to look behind them
    turned = Image.Image.getexif(image).get(ExifTags.Base.Orientation) in (5, 6, 7, 8)
    return (height, width) if turned else (width, height)


def _bits(image: Image.Image, data: bytes) -> int:
    if isinstance(image, TiffImagePlugin.TiffImageFile):
        return int(max(image.tag_v2.get(ExifTags.Base.BitsPerSample, (1,))))
    if image.format == "PNG":
        return data[24]
    return 1 if image.mode == "1" else 8


def _is_white_zero(image: Image.Image) -> bool:
    """Pillow inverts such TIFFs itself, but not the deep ones."""
    return (
        isinstance(image, TiffImagePlugin.TiffImageFile)
        and image.mode in GREY_DEEP
        and image.tag_v2.get(ExifTags.Base.PhotometricInterpretation) == WHITE_IS_ZERO
    )


def _notes(image: Image.Image, data: bytes, bits: int, frames: int) -> list[str]:
    notes = []
    deep = image.mode in GREY_DEEP or _is_deep_grey_alpha(data, image.format)
    if frames > 1:
        notes.append(f"first of {frames} pictures in the file")
    if bits > 8 and deep:
        notes.append(f"{bits} bits, scaled by the picture's own range")
    elif bits > 8:
        notes.append(f"{bits} bits a channel, the lower ones dropped")
    if image.has_transparency_data:
        notes.append("transparency laid on black")
    return notes


def _on_black(image: Image.Image) -> Image.Image:
    """RGB with what is transparent black, as the air around a body is.

    The colour under a transparent pixel is whatever an editor left there, and no viewer shows it.
    """
    if not image.has_transparency_data:
        return image.convert("RGB")
    seen = image.convert("RGBA")
    black = Image.new("RGBA", seen.size, (0, 0, 0, 255))
    return Image.alpha_composite(black, seen).convert("RGB")


def _require_variant(data: bytes, format: Format) -> None:
    """Refuse by name what Pillow would call broken, or read wrongly.

    Raises:
        BadImage: ``unsupported``.
    """
    if format == "JPEG":
        frame = jpeg.frame_of(data)
        if frame.marker not in jpeg.HUFFMAN or frame.precision != 8:
            raise refuse(
                "unsupported",
                f"This JPEG is {frame.name} with {frame.precision} bits; read are baseline and "
                "progressive with 8. Save it so, or as PNG.",
            )
    if format != "TIFF" or (header := tiff_header.header_of(data)) is None:
        return
    readable = True
    try:
        _open(data, format)
    except UnidentifiedImageError:
        readable = False
    if not readable or (header.planes and max(header.fields.get(tiff_header.BITS, (1,))) > 8):
        raise refuse(
            "unsupported",
            f"This is a {header}, which is not read; save it as 8-bit RGB, or as 8 or 16-bit grey "
            "without alpha.",
        )


def _require_whole(data: bytes, format: Format) -> None:
    """Find damage that Pillow's decoders would draw over."""
    if format == "PNG":
        _open(data, format).verify()  # the checksum of every chunk
    if format == "JPEG":
        jpeg.require_complete(data, jpeg.frame_of(data))


def _is_deep_grey_alpha(data: bytes, format: str | None) -> bool:
    return format == "PNG" and data[PNG_DEPTH] == 16 and data[PNG_COLOUR] == GREY_ALPHA


def _grey_and_alpha(data: bytes) -> tuple[NDArray[np.uint16], NDArray[np.uint16]]:
    """Both channels of a PNG of 16-bit grey with alpha, of which Pillow keeps the upper 8 bits.

    Its bytes are those of an 8-bit RGBA, so it is decoded as one.
    """
    header = bytearray(data[PNG_HEADER])
    header[PNG_DEPTH - PNG_HEADER.start], header[PNG_COLOUR - PNG_HEADER.start] = 8, RGBA
    checksum = zlib.crc32(header).to_bytes(4)
    end = PNG_HEADER.stop
    image = _open(data[: PNG_HEADER.start] + bytes(header) + checksum + data[end + 4 :], "PNG")
    words = np.ascontiguousarray(np.asarray(ImageOps.exif_transpose(image))).view(">u2")
    return words[..., 0].astype(np.uint16), words[..., 1].astype(np.uint16)


def _deep_on_black(values: NDArray[Any], alpha: NDArray[Any]) -> NDArray[np.uint8]:
    """Deep grey scaled by its range where it can be seen, transparency laid on black."""
    seen = values[alpha > 0]
    shades = to_shades(values, *own_range(seen if seen.size else values))
    laid = np.rint(shades * (alpha.astype(np.float64) / 65535)).astype(np.uint8)
    return np.repeat(laid[..., None], 3, axis=2)

"""JPEG, PNG, TIFF, BMP and WebP, read by Pillow (why Pillow: docs/decisions/decoder.md)."""

import io
from contextlib import suppress

import numpy as np
from numpy.typing import NDArray
from PIL import ExifTags, Image, ImageOps, TiffImagePlugin

from pipelines.imaging.depth import stretch
from pipelines.imaging.info import Format, ImageInfo
from pipelines.imaging.reasons import refuse

GREY_DEEP = ("I;16", "I;16L", "I;16B", "I")
EIGHT_BIT = ("1", "L", "LA", "La", "P", "PA", "RGB", "RGBA", "RGBa", "CMYK", "YCbCr")
WHITE_IS_ZERO = 0
MOST_PAGES = 1000
RIFF_HEADER = 8
BLOCK = 8
"""Rows of a JPEG's block."""


def inspect(data: bytes, format: Format) -> ImageInfo:
    """What the header says; see `pipelines.imaging.inspect`."""
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
        notes=_notes(image, bits, frames),
    )


def pixels(data: bytes, info: ImageInfo) -> NDArray[np.uint8]:
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
    if info.format == "JPEG":
        _require_no_fill(np.asarray(image))
    image = ImageOps.exif_transpose(image)
    if image.mode not in GREY_DEEP:
        return np.asarray(_on_black(image))
    shades = stretch(np.asarray(image))
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


def _notes(image: Image.Image, bits: int, frames: int) -> list[str]:
    notes = []
    if frames > 1:
        notes.append(f"first of {frames} pictures in the file")
    if bits > 8 and image.mode in GREY_DEEP:
        notes.append(f"{bits} bits, scaled by the picture's own range")
    elif bits > 8:
        notes.append(f"{bits} bits a channel, the lower ones dropped")
    if image.mode not in GREY_DEEP and image.has_transparency_data:
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


def _require_whole(data: bytes, format: Format) -> None:
    """Find damage that Pillow's decoders would draw over."""
    if format == "PNG":
        _open(data, format).verify()  # the checksum of every chunk
    if format == "JPEG" and data.find(b"\xff\xd9", data.rfind(b"\xff\xda")) < 0:
        raise refuse("truncated", "The JPEG has no end mark: it was cut off.")


def _require_no_fill(decoded: NDArray[np.uint8]) -> None:
    """Refuse a JPEG whose pixels were cut off and then closed by an end mark.

    libjpeg fills what is missing with blocks of no content, which are exactly mid-grey, and only
    warns. A whole picture hardly ends in rows of just that shade while it shows others above.
    """
    fill = 127 if decoded.shape[2:] == (4,) else 128  # Pillow turns CMYK round
    if (decoded[-BLOCK:] == fill).all() and not (decoded == fill).all():
        raise refuse("truncated", "The lower part of the JPEG is missing: it was cut off.")

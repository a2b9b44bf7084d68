"""Small pictures and their files, made by the tests that need them."""

import io
import struct
import zlib
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from scipy.ndimage import gaussian_filter

HEIGHT, WIDTH = 48, 64


def colours(height: int = HEIGHT, width: int = WIDTH, *, seed: int = 0) -> NDArray[np.uint8]:
    """A smooth picture of many colours, uint8 (height, width, 3)."""
    noise = np.random.default_rng(seed).normal(size=(height, width, 3))
    smooth = gaussian_filter(noise, (4, 4, 0))
    return np.asarray(255 * (smooth - smooth.min()) / np.ptp(smooth), np.uint8)


def greys(height: int = HEIGHT, width: int = WIDTH, *, seed: int = 0) -> NDArray[np.uint8]:
    """A smooth grey picture, uint8 (height, width)."""
    return colours(height, width, seed=seed)[..., 0]


def deep() -> NDArray[np.uint16]:
    """A grey picture of 12 bits, uint16 (height, width), 1,000 to 3,550."""
    return np.asarray(greys(), np.uint16) * 10 + 1000


def file_of(picture: NDArray[Any] | Image.Image, format: str, **options: Any) -> bytes:
    """A picture as a file of Pillow's ``format``."""
    image = picture if isinstance(picture, Image.Image) else Image.fromarray(picture)
    target = io.BytesIO()
    image.save(target, format, **options)
    return target.getvalue()


def png_of(
    rows: NDArray[Any], *, size: tuple[int, int], bits: int, colour: int, before: bytes = b""
) -> bytes:
    """A PNG of what Pillow does not write: any colour type and depth, any claim of a size.

    Args:
        rows: the values, (height, …), in network order if deeper than 8 bits.
        size: width and height that the header claims.
        bits: bits of a channel.
        colour: colour type (0 grey, 2 RGB, 3 palette, 4 grey and alpha, 6 RGBA).
        before: chunks to put before the pixels.
    """
    header = struct.pack(">IIBBBBB", *size, bits, colour, 0, 0, 0)
    pixels = b"".join(b"\0" + row.tobytes() for row in rows)
    body = chunk(b"IHDR", header) + before + chunk(b"IDAT", zlib.compress(pixels))
    return b"\x89PNG\r\n\x1a\n" + body + chunk(b"IEND", b"")


def chunk(kind: bytes, content: bytes) -> bytes:
    """A chunk of a PNG, with its checksum."""
    checksum = struct.pack(">I", zlib.crc32(kind + content))
    return struct.pack(">I", len(content)) + kind + content + checksum

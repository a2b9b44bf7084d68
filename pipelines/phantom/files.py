"""Phantoms as files, each marked as synthetic, and the files that are faulty on purpose."""

import io

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from pipelines.phantom.draw import Slice

SYNTHETIC = "SYNTHETIC head phantom drawn by Medloop; no patient, no scanner"


def png(picture: NDArray[np.uint8]) -> bytes:
    """Encode uint8 (height, width) grey as PNG, marked as synthetic."""
    mark = PngInfo()
    mark.add_text("Comment", SYNTHETIC)
    target = io.BytesIO()
    Image.fromarray(picture).save(target, "PNG", pnginfo=mark)
    return target.getvalue()


def jpeg(picture: NDArray[np.uint8]) -> bytes:
    """Encode uint8 (height, width) grey as JPEG, marked as synthetic."""
    target = io.BytesIO()
    Image.fromarray(picture).save(target, "JPEG", quality=88, comment=SYNTHETIC)
    return target.getvalue()


def smaller(content: Slice) -> Slice:
    """The same slice at 7/8 of its size, as somebody's viewer exports it."""
    side = len(content.picture) * 7 // 8
    picture = Image.fromarray(content.picture).resize((side, side), Image.Resampling.LANCZOS)
    mask = Image.fromarray(content.mask).resize((side, side), Image.Resampling.NEAREST)
    return Slice(np.asarray(picture), np.asarray(mask))


def cut_off(seed: int, size: int) -> bytes:
    """The first half of a JPEG of noise: a copy that was interrupted."""
    noise = np.random.default_rng([seed, 2]).integers(0, 256, (size, size), np.uint8)
    whole = jpeg(noise)
    return whole[: len(whole) // 2]


def text() -> bytes:
    """A note that somebody saved by the name of a picture."""
    return f"{SYNTHETIC}\n\nThis is a text with the name of a picture.\n".encode()


def blank(size: int) -> bytes:
    """A picture that shows nothing."""
    return png(np.zeros((size, size), np.uint8))

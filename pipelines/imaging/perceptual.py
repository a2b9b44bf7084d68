"""Short descriptions of what a picture looks like, for finding near duplicates."""

import numpy as np
from numpy.typing import NDArray
from PIL import Image

SIDE = 32
LOW = 8


def thumbnail(array: NDArray[np.uint8]) -> bytes:
    """The picture as 32 x 32 grey shades (ITU-R 601 luma), row by row: 1,024 bytes.

    Args:
        array: uint8 (height, width, 3).
    """
    return _thumbnail(array).tobytes()


def phash(array: NDArray[np.uint8]) -> int:
    """The 64-bit perceptual hash: which low frequencies are above their median.

    The 8 x 8 lowest frequencies of the `thumbnail`'s discrete cosine transform, row by row, the
    first one in the highest bit (Zauner 2010, "Implementation and Benchmarking of Perceptual
    Image Hash Functions", section 3.2.1). Two prints of one picture differ in few bits.

    Args:
        array: uint8 (height, width, 3).

    Returns:
        0 to 2**64 - 1.
    """
    from scipy.fft import dctn  # 0.5 s to import

    frequencies = dctn(_thumbnail(array).astype(np.float64))[:LOW, :LOW]
    bits = (frequencies > np.median(frequencies)).ravel()
    return int.from_bytes(np.packbits(bits).tobytes())


def _thumbnail(array: NDArray[np.uint8]) -> NDArray[np.uint8]:
    grey = Image.fromarray(array).convert("L")
    return np.asarray(grey.resize((SIDE, SIDE), Image.Resampling.BOX))

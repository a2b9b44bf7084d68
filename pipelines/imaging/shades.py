"""How bright a picture is."""

import numpy as np
from numpy.typing import NDArray
from PIL import Image


def grey_level(picture: NDArray[np.uint8]) -> tuple[float, float]:
    """Mean and standard deviation of a picture's grey shades (ITU-R 601 luma), 0 to 255.

    Taken from the histogram: a large picture is not copied as floating-point numbers.
    """
    counts = np.array(Image.fromarray(picture).convert("L").histogram())
    shades = np.arange(len(counts))
    mean = float(np.average(shades, weights=counts))
    deviation = float(np.sqrt(np.average((shades - mean) ** 2, weights=counts)))
    return round(mean, 3), round(deviation, 3)

"""The DICOM window: which values are shown from black to white (PS3.3, C.11.2.1.2)."""

import numpy as np
from numpy.typing import NDArray

from pipelines.imaging.depth import to_shades


def window(
    values: NDArray[np.generic], *, center: float, width: float, function: str = "LINEAR"
) -> NDArray[np.uint8]:
    """Show ``values`` through a window.

    Args:
        values: after rescaling, in the modality's unit.
        center: ``WindowCenter``.
        width: ``WindowWidth``, more than 0.
        function: ``VOILUTFunction``: ``LINEAR`` (C.11.2.1.2.1), ``LINEAR_EXACT`` or ``SIGMOID``
            (C.11.2.1.3).

    Returns:
        uint8 of the same shape, 0 to 255.
    """
    if function == "SIGMOID":
        steepness = (values.astype(np.float64) - center) * (-4 / width)
        return to_shades(1 / (1 + np.exp(steepness.clip(-700, 700))), 0, 1)
    if function == "LINEAR":
        center, width = center - 0.5, max(width - 1, 1e-6)
    return to_shades(values, center - width / 2, center + width / 2)

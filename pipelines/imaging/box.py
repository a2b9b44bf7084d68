"""A part of a picture."""

from collections.abc import Callable
from typing import NamedTuple, TypeVar

import numpy as np
from numpy.typing import NDArray

ScalarT = TypeVar("ScalarT", bound=np.generic)


class Box(NamedTuple):
    """Rows and columns of a picture, in pixels; ends are exclusive."""

    top: int
    bottom: int
    left: int
    right: int

    @property
    def height(self) -> int:
        return self.bottom - self.top

    @property
    def width(self) -> int:
        return self.right - self.left

    def of(self, array: NDArray[ScalarT]) -> NDArray[ScalarT]:
        """What a picture or mask shows inside the box; a view."""
        return array[self.top : self.bottom, self.left : self.right]

    def scaled(self, rows: float, columns: float) -> "Box":
        """The same part of a picture that is larger or smaller by these factors; one pixel wide
        at the least."""
        bottom, right = max(1, round(self.bottom * rows)), max(1, round(self.right * columns))
        top = min(round(self.top * rows), bottom - 1)
        return Box(top, bottom, min(round(self.left * columns), right - 1), right)


Finder = Callable[[NDArray[np.uint8]], Box | None]
"""From a picture, uint8 (height, width, 3), to the part that shows its lesion, if one is found."""


def whole(array: NDArray[np.generic]) -> Box:
    """All of a picture."""
    return Box(0, array.shape[0], 0, array.shape[1])

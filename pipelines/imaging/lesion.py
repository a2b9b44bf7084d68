"""Where the lesion is in a picture: what a small network finds, and the box around it.

The network comes as a folder that says all there is to know about it, so that Spark's executors,
training and the service crop alike: ``unet.xml`` and ``unet.bin`` (OpenVINO, float32) and
``finder.json``, a `FinderSpec`. It is always asked about one picture, by one thread, in float32:
the same bytes give the same box.
"""

import hashlib
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict

from pipelines.imaging.box import Box
from pipelines.imaging.fit import fit, shown
from pipelines.spec import ImageSpec

IR, SAID = "unet.xml", "finder.json"
FILES = (IR, "unet.bin", SAID)
FOUND = 0.5
"""Probability from which a pixel counts as lesion."""
PART = 0.1
"""Share of the largest spot's area that another must have to be part of the lesion."""
LEAST = 0.001
"""Share of the picture that must be lesion; less is a speck, and counts as nothing found."""


class FinderSpec(BaseModel):
    """What the network is asked about, and how much is kept around what it finds."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    image: ImageSpec
    """How its pictures were fitted; without a crop."""
    margin: float
    """How much wider the box is on each side, as a share of the picture's."""


class LesionFinder:
    """A network that finds lesions; any number of threads may ask it at once.

    Args:
        folder: holds `FILES`.
    """

    def __init__(self, folder: Path) -> None:
        import openvino

        options = {"INFERENCE_NUM_THREADS": "1", "INFERENCE_PRECISION_HINT": "f32"}
        self._network = openvino.Core().compile_model(folder / IR, "CPU", options)
        self._said = FinderSpec.model_validate_json((folder / SAID).read_bytes())

    def __call__(self, array: NDArray[np.uint8]) -> Box | None:
        """The box around the lesion in a picture, uint8 (height, width, 3); `None` if the network
        finds none."""
        height, width = array.shape[:2]
        lesion = self.probability(fit(array, self._said.image)) > FOUND
        seen = shown(height, width, self._said.image).of(lesion)
        return around(seen, height, width, margin=self._said.margin)

    def probability(self, square: NDArray[np.uint8]) -> NDArray[np.float32]:
        """That each pixel is of the lesion: float32 (size, size), 0 to 1.

        Args:
            square: a picture as `fit` makes it without a crop, uint8 (size, size, 3).
        """
        said = self._network.infer_new_request({0: square[None].astype(np.float32)})
        return np.asarray(said[0][0, :, :, 0])


def around(lesion: NDArray[np.bool_], height: int, width: int, *, margin: float) -> Box | None:
    """The box around a lesion, with its margin, square where the picture has the room.

    Args:
        lesion: bool (h, w), true on the lesion; the whole picture, in any size.
        height: of the picture in pixels.
        width: of the picture in pixels.
        margin: by which the box is wider on each side, as a share of the picture's side.

    Returns:
        The part of the picture to keep; `None` where next to nothing of it is lesion.
    """
    spots = _without_specks(lesion)
    if spots.mean() <= LEAST:
        return None
    rows = _span(np.any(spots, axis=1), height, margin)
    columns = _span(np.any(spots, axis=0), width, margin)
    side = max(rows[1] - rows[0], columns[1] - columns[0])
    return Box(*_widened(rows, side, height), *_widened(columns, side, width))


def digest(folder: Path) -> str:
    """sha256 of a network's folder: of its files one after another."""
    return hashlib.sha256(b"".join((folder / name).read_bytes() for name in FILES)).hexdigest()


def _without_specks(lesion: NDArray[np.bool_]) -> NDArray[np.bool_]:
    count, labels, stats, _ = cv2.connectedComponentsWithStats(lesion.astype(np.uint8))
    if count < 2:
        return lesion
    areas = stats[1:, cv2.CC_STAT_AREA]
    return np.isin(labels, np.flatnonzero(areas >= PART * areas.max()) + 1)


def _span(marked: NDArray[np.bool_], length: int, margin: float) -> tuple[int, int]:
    """First and last place of what is marked, on a side of ``length`` pixels, with its margin."""
    places = np.flatnonzero(marked)
    scale, more = length / len(marked), round(margin * length)
    first, last = int(places[0] * scale), int(np.ceil((places[-1] + 1) * scale))
    return max(0, first - more), min(length, last + more)


def _widened(span: tuple[int, int], side: int, length: int) -> tuple[int, int]:
    """A span as long as ``side``, or as the picture is; moved off the edge where needed."""
    first, last = span
    long = min(side, length)
    start = min(max(0, (first + last - long) // 2), length - long)
    return start, start + long

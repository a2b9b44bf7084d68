"""What it costs to examine an image at landing: plain NumPy against what Medloop does.

    python -m benchmarks.examination FOLDER [--images 200] [--rounds 5]

Both describe the same files of FOLDER, in turn and in one process; the results must be equal to
the last digit. Prints CPU milliseconds per image of each function, the fastest round of each.
"""

import argparse
import math
import random
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any
from unittest.mock import patch

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image
from rich.console import Console
from rich.table import Table

from pipelines import imaging
from pipelines.data.folders.local import LocalFolder
from pipelines.data.land.examine import Examined, examine
from pipelines.data.land.pseudonyms import Pseudonyms
from pipelines.imaging import decode, is_blank, traces
from pipelines.imaging.body import DARK, LIT, PART, body_box, body_mask
from pipelines.imaging.info import DEFAULT
from pipelines.imaging.traces import (
    BANDS,
    BLOCK,
    BORDER,
    DIGITS,
    SIDE,
    SPECK,
    _corners,
    _file,
    _noise,
)

Picture = NDArray[np.uint8]
Grey = NDArray[np.float32]
SUFFIXES = (".jpg", ".jpeg", ".png", ".bmp", ".tif", ".tiff", ".webp")


def plain_blank(array: Picture) -> bool:
    """`pipelines.imaging.is_blank`."""
    return bool((array.std(axis=(0, 1)) < 2.0).all())


def plain_lit(array: Picture) -> NDArray[np.bool_]:
    """Pixels brighter than the background."""
    brightness = array.max(axis=2)
    return np.asarray(brightness > DARK * np.percentile(brightness, 99))


def plain_box(array: Picture) -> tuple[int, int, int, int]:
    """`pipelines.imaging.body.body_box`."""
    body = plain_lit(array)
    spans = []
    for axis in (1, 0):
        length, lit = body.shape[1 - axis], np.flatnonzero(body.mean(axis=axis) > LIT)
        margin = round(0.02 * length)
        spans.append((lit, margin, length))
    if not all(lit.size for lit, _, _ in spans):
        return 0, body.shape[0], 0, body.shape[1]
    top, bottom, left, right = (
        end
        for lit, margin, length in spans
        for end in (max(0, int(lit[0]) - margin), min(length, int(lit[-1]) + 1 + margin))
    )
    return top, bottom, left, right


def plain_mask(array: Picture) -> NDArray[np.bool_]:
    """`pipelines.imaging.body.body_mask`."""
    count, labels, stats, _ = cv2.connectedComponentsWithStats(plain_lit(array).astype(np.uint8))
    if count < 2:
        return np.ones(array.shape[:2], np.bool_)
    areas = stats[1:, cv2.CC_STAT_AREA]
    parts = np.flatnonzero(areas >= PART * areas.max()) + 1
    points = cv2.findNonZero(np.isin(labels, parts).astype(np.uint8))
    mask = np.zeros(array.shape[:2], np.uint8)
    cv2.fillConvexPoly(mask, cv2.convexHull(points), [1])
    return mask.astype(np.bool_)


def plain_traces(data: bytes, picture: Picture) -> list[float]:
    """`pipelines.imaging.traces`."""
    height, width = picture.shape[:2]
    grey = np.asarray(Image.fromarray(picture).convert("L"), np.float32)
    top, left = max(0, (height - SIDE) // 2), max(0, (width - SIDE) // 2)
    middle = grey[top : top + SIDE, left : left + SIDE]
    lit = grey[grey > 0]
    quartiles = np.percentile(lit, (25, 50, 75)) if lit.size else np.zeros(3)
    found = [
        math.log2(width),
        math.log2(height),
        math.log2(width / height),
        *_file(data, pixels=width * height),
        float(np.ptp(picture.astype(np.int16), axis=2).mean()),
        _blocking(middle),
        *_borders(grey),
        *_corners(grey),
        *(float((grey == 0).mean()), float((grey == 255).mean()), *(quartiles / 255)),
        *_sharpness(middle),
    ]
    return [round(float(value), DIGITS) for value in found]


def _blocking(grey: Grey) -> float:
    jumps = np.abs(np.diff(grey, axis=1)).mean(axis=0)
    between = np.arange(1, len(jumps) + 1) % BLOCK == 0
    if not between.any() or between.all():
        return 0.0
    return math.log2((jumps[between].mean() + SPECK) / (jumps[~between].mean() + SPECK))


def _borders(grey: Grey) -> list[float]:
    lit = grey > BORDER * max(float(np.percentile(grey, 99)), 1.0)
    rows, columns = lit.mean(axis=1) > BORDER / 2, lit.mean(axis=0) > BORDER / 2
    sides = (rows, rows[::-1], columns, columns[::-1])
    return [float(np.append(np.flatnonzero(side), len(side))[0]) / len(side) for side in sides]


def _sharpness(grey: Grey) -> list[float]:
    spectrum = np.abs(np.fft.rfft2(grey - grey.mean())) ** 2
    rows, columns = np.fft.fftfreq(grey.shape[0]), np.fft.rfftfreq(grey.shape[1])
    reach = 2 * np.hypot(rows[:, None], columns[None, :])
    bands = [
        spectrum[(reach >= low) & (reach < high)]
        for low, high in zip((0.0, *BANDS), BANDS, strict=False)
    ]
    coarse = float(bands[0].mean()) + SPECK
    detail = [
        math.log2((float(band.mean()) + SPECK) / coarse) if band.size else 0.0 for band in bands[1:]
    ]
    return [math.log2(1 + _noise(grey)), *detail]


PAIRS: dict[str, tuple[Callable[..., Any], Callable[..., Any]]] = {
    "traces": (plain_traces, traces),
    "is_blank": (lambda _, picture: plain_blank(picture), lambda _, picture: is_blank(picture)),
    "body_box": (lambda _, picture: plain_box(picture), lambda _, picture: body_box(picture)),
    "body_mask": (lambda _, picture: plain_mask(picture), lambda _, picture: body_mask(picture)),
}
"""Function → the plain version and Medloop's, both of (file, picture)."""


def main() -> None:
    """Measure each function both ways, and the whole examination."""
    options = _options()
    cv2.setNumThreads(1)
    paths = _paths(options.folder, options.images)
    contents = [(options.folder / path).read_bytes() for path in paths]
    images = [(data, decode(data)) for data in contents]
    table = Table("CPU ms per image", "plain NumPy", "Medloop", "times faster", "equal")
    for name, (plain, ours) in PAIRS.items():
        equal = all(np.array_equal(plain(*image), ours(*image)) for image in images)
        before, after = _fastest([plain, ours], images, rounds=options.rounds)
        table.add_row(name, f"{before:.2f}", f"{after:.2f}", f"{before / after:.1f}", str(equal))
    folder, names = LocalFolder(options.folder), Pseudonyms(b"benchmark")

    def whole(path: str) -> Examined:
        return examine(folder, path, names, limits=DEFAULT)

    def whole_plain(path: str) -> Examined:
        with (
            patch.object(imaging, "traces", plain_traces),
            patch.object(imaging, "is_blank", plain_blank),
        ):
            return whole(path)

    equal = all(whole_plain(path) == whole(path) for path in paths)
    files = [(path,) for path in paths]
    before, after = _fastest([whole_plain, whole], files, rounds=options.rounds)
    table.add_row("examine", f"{before:.2f}", f"{after:.2f}", f"{before / after:.1f}", str(equal))
    Console().print(f"{len(paths)} images of {options.folder}", table)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--images", type=int, default=200)
    parser.add_argument("--rounds", type=int, default=5)
    return parser.parse_args()


def _paths(folder: Path, count: int) -> list[str]:
    """A random draw of the images in a folder, the same each time."""
    found = sorted(path for path in folder.rglob("*") if path.suffix.lower() in SUFFIXES)
    drawn = random.Random(0).sample(found, min(count, len(found)))
    return [path.relative_to(folder).as_posix() for path in drawn]


def _fastest(
    functions: list[Callable[..., Any]], arguments: list[tuple[Any, ...]], *, rounds: int
) -> list[float]:
    """CPU milliseconds per call of each function, in its fastest round; they take turns."""
    best = [math.inf] * len(functions)
    for _ in range(rounds):
        for place, function in enumerate(functions):
            start = time.process_time()
            for one in arguments:
                function(*one)
            spent = 1000 * (time.process_time() - start) / len(arguments)
            best[place] = min(best[place], spent)
    return best


if __name__ == "__main__":
    main()

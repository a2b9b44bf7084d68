"""Where Grad-CAM's heat lies beside the lesions that were drawn: phantoms come with their masks.

    python -m benchmarks.heat_on_lesions BUNDLE [FOLDER]

Asks a phantom bundle about the round lesions of a folder of phantoms (``medloop phantom``) and
compares two ways to draw the heat: each cell of the feature map where it looks, and the map
stretched over the picture. "Hits" is the pointing game (Zhang et al. 2018): the share of pictures
whose hottest pixel lies on the lesion.
"""

import argparse
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.progress import track
from rich.table import Table

from pipelines.evaluation.cells import Cells, spread, stretched
from pipelines.evaluation.overlay import place
from pipelines.imaging import decode
from pipelines.release.predictor import Predictor, open_predictor
from pipelines.settings import get_settings

LESION = "round_lesion"
HOT = 0.7
"""Share of the most heat above which a pixel counts for the heat's centre."""


def main() -> None:
    """Measure and print one table."""
    options = _options()
    predictor = open_predictor(options.bundle, "openvino", cache=get_settings().cache, threads=2)
    names = sorted((options.folder / LESION).iterdir())
    ways: dict[str, list[tuple[float, float, bool]]] = {}
    for file in track(names, "Asking", transient=True):
        drawn = options.folder / "masks" / LESION / f"{file.stem}.png"
        if drawn.exists():  # some files are faulty on purpose
            mask = decode(drawn.read_bytes())[..., 0]
            for way, found in _compare(predictor, file.read_bytes(), mask > 0):
                ways.setdefault(way, []).append(found)
    table = Table("drawn", "images", "pixels too low", "pixels too far right", "hits")
    for way, rows in ways.items():
        down, right, hits = np.array(rows, float).T
        low, far = f"{np.median(down):+.1f}", f"{np.median(right):+.1f}"
        table.add_row(way, str(len(rows)), low, far, f"{hits.mean():.2f}")
    Console().print(table)


def _compare(
    predictor: Predictor, image: bytes, mask: NDArray[np.bool_]
) -> Iterator[tuple[str, tuple[float, float, bool]]]:
    """For each way to draw: how far the heat's centre is from the lesion's, and whether it hits."""
    reading = predictor.read(image)
    target = predictor.class_names.index(LESION)
    if reading.best != target:
        return
    activation = predictor.activation(reading, target)
    spec = predictor.bundle.manifest.image
    known = predictor.bundle.manifest.cells
    even = stretched(activation.shape[0], spec.size)
    ways: dict[str, Cells] = {"where its cells look": known or even, "stretched": even}
    for way, cells in ways.items():
        heat = place(spread(activation, cells, spec.size), reading.picture, spec)
        apart = _centre(np.where(heat > HOT * heat.max(), heat, 0)) - _centre(mask)
        hottest = np.unravel_index(heat.argmax(), heat.shape)
        yield way, (float(apart[0]), float(apart[1]), bool(mask[hottest]))


def _centre(weights: NDArray[np.float32] | NDArray[np.bool_]) -> NDArray[np.float64]:
    """(row, column) of a picture's centre of mass."""
    places = np.indices(weights.shape)
    return np.asarray((places * weights).sum(axis=(1, 2)) / weights.sum(), np.float64)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0] if __doc__ else None)
    parser.add_argument("bundle", type=Path)
    parser.add_argument(
        "folder", type=Path, nargs="?", default=get_settings().home / "landing" / "phantom"
    )
    return parser.parse_args()


if __name__ == "__main__":
    main()

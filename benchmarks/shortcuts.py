"""How well the class can be told from what is no body, for each way of fitting the pictures.

    python -m benchmarks.shortcuts FOLDER PREPARED [--images 1000]

FOLDER is the landing folder, PREPARED a training set on this machine, which says who trains and
what belongs together. Prints macro AUROC with its 95 % interval, as the evidence ``shortcuts`` has
it.
"""

import argparse
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table

from pipelines.data.input.cache import read_set
from pipelines.evaluation.predictions import described
from pipelines.evidence.shortcuts import Known, auroc
from pipelines.evidence.surroundings import describe_background, describe_frame
from pipelines.imaging import decode, fit
from pipelines.spec import ImageSpec

SEED = 17
WAYS: dict[str, dict[str, str]] = {
    "as they are": {},
    "background: mask": {"background": "mask"},
    "crop: body": {"crop": "body"},
    "crop: body, background: mask": {"crop": "body", "background": "mask"},
    "all of it, intensity: normalise, colour: grey": {
        "crop": "body",
        "background": "mask",
        "intensity": "normalise",
        "colour": "grey",
    },
}


def main() -> None:
    """Fit the pictures in each way, describe what is no body, learn, print."""
    options = _options()
    data = read_set(options.prepared)
    rows = described(data, "train").sample(options.images, random_state=SEED)
    groups = rows["group"].to_numpy(str)
    labels = np.array([data.classes.index(name) for name in rows["label"]])
    originals = [decode((options.folder / path).read_bytes()) for path in rows["source_path"]]
    table = Table("pictures", "outer frame alone", "background alone")
    for way, fields in WAYS.items():
        spec = ImageSpec.model_validate({"size": data.size} | fields)
        pictures = [fit(original, spec) for original in originals]
        cells = [
            _told([describe(picture) for picture in pictures], labels, groups, data.classes)
            for describe in (describe_frame, describe_background)
        ]
        table.add_row(way, *cells)
    Console(width=110).print(table)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("prepared", type=Path)
    parser.add_argument("--images", type=int, default=1000)
    return parser.parse_args()


def _told(
    said: list[NDArray[np.float64] | None],
    labels: NDArray[np.int64],
    groups: NDArray[np.str_],
    classes: tuple[str, ...],
) -> str:
    told = np.array([text is not None for text in said])
    known = Known(np.array([text for text in said if text is not None]), labels[told], groups[told])
    found = auroc(known, classes, seed=SEED)
    if found is None:
        return f"too few pictures have any ({told.sum()})"
    value, (low, high) = found
    return f"{value:.3f} ({low:.3f} to {high:.3f})"


if __name__ == "__main__":
    main()

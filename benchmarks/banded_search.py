"""Near duplicates by banded signatures: what is missed, and what it costs.

    python -m benchmarks.banded_search [FOLDER …] [--images 10000 100000] [--known 0.0]

For each landing FOLDER: compares all pairs of its images exactly, then by each plan of bands, and
prints the share of pairs that is found, pairs that the rule does not name, and how clusters differ.
For each number of images: seconds (wall and CPU) and the largest memory of a process that searches
so many synthetic thumbnails, a tenth of them copies, by bands. ``--known`` is the share that an
earlier snapshot has compared.
"""

import argparse
import hashlib
import multiprocessing
import resource
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from unittest import mock

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from rich.console import Console
from scipy.ndimage import gaussian_filter

from pipelines.data.duplicates import clusters, duplicates
from pipelines.data.duplicates.banded import LARGEST, PLANS, Bands
from pipelines.data.duplicates.descriptors import POSES, stacked
from pipelines.errors import BadImage
from pipelines.imaging import decode
from pipelines.imaging.perceptual import thumbnail
from pipelines.spec import DuplicatesSpec

RULE = DuplicatesSpec()
SUFFIXES = {".jpg", ".jpeg", ".png"}
PART = 10_000


def main() -> None:
    """Measure, and print tables."""
    options = _options()
    console = Console(width=150, highlight=False)
    for folder in options.folders:
        _compare(console, folder.name, stacked(_thumbnails(folder)))
    for images in options.images:
        # A process of its own: the largest memory of one never falls again.
        with multiprocessing.get_context("spawn").Pool(1) as pool:
            console.print(pool.apply(_cost, (images, options.known)))


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("folders", nargs="*", type=Path)
    parser.add_argument("--images", nargs="*", type=int, default=[])
    parser.add_argument("--known", type=float, default=0.0)
    return parser.parse_args()


def _thumbnails(folder: Path) -> Iterator[bytes]:
    """Thumbnails of different files, by sha256; masks and what is no image are left out."""
    paths = {
        hashlib.sha256(path.read_bytes()).hexdigest(): path
        for path in sorted(folder.rglob("*"))
        if path.suffix.lower() in SUFFIXES and "masks" not in path.parts
    }
    for _, path in sorted(paths.items()):
        with suppress(BadImage):
            yield thumbnail(decode(path.read_bytes()))


def _compare(console: Console, name: str, thumbnails: NDArray[np.uint8]) -> None:
    exact = duplicates.near_pairs(thumbnails, RULE)
    cut = clusters.links(exact, thumbnails, correlation=RULE.correlation)
    whole, medoids = _clusters(exact, len(thumbnails)), _clusters(cut, len(thumbnails))
    console.print(
        f"{name}: {len(thumbnails):,} images, {len(exact):,} pairs, {_size(whole)}; "
        f"with medoids {_size(medoids)}, {_apart(exact, medoids)} pairs cut"
    )
    for bands in (*(bands for _, bands in PLANS), LARGEST):
        found = _banded(thumbnails, bands)
        both = exact.merge(found, on=["first", "second"])
        false = len(found) - len(both)
        apart = _apart(exact, _clusters(found, len(thumbnails)))
        share = len(both) / len(exact) if len(exact) else float("nan")
        console.print(
            f"  {bands.bits} x {4 * bands.table_groups}: recall {share:.4f} ({len(both):,} pairs), "
            f"{false} pairs that are not of the rule, {apart} pairs in different clusters"
        )


def _banded(
    thumbnails: NDArray[np.uint8], bands: Bands, new: NDArray[np.bool_] | None = None
) -> pd.DataFrame:
    with (
        mock.patch.object(duplicates, "ALL_PAIRS_UP_TO", 0),
        mock.patch.object(duplicates, "bands_for", return_value=bands),
    ):
        return duplicates.near_pairs(thumbnails, RULE, new=new)


def _clusters(pairs: pd.DataFrame, count: int) -> "pd.Series[str]":
    images = pd.DataFrame({"sha256": [f"{n:016d}" for n in range(count)], "group": None})
    return clusters.clusters(images, images, pairs)


def _size(cluster: "pd.Series[str]") -> str:
    sizes = cluster.value_counts()
    return f"{int((sizes > 1).sum()):,} clusters of up to {int(sizes.max())} images"


def _apart(pairs: pd.DataFrame, cluster: "pd.Series[str]") -> int:
    name = cluster.to_numpy()
    return int((name[pairs["first"]] != name[pairs["second"]]).sum())


def _cost(images: int, known: float) -> str:
    thumbnails = synthetic(images)
    new = np.random.default_rng(1).random(images) >= known
    bands = next((b for most, b in PLANS if images <= most), LARGEST)
    start, cpu = time.perf_counter(), time.process_time()
    found = _banded(thumbnails, bands, new)
    seconds, cpu = time.perf_counter() - start, time.process_time() - cpu
    gigabytes = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    copies = images // 10
    expected = new[:copies] | new[-copies:]
    true = found[found["second"] - found["first"] == images - copies]
    return (
        f"{images:,} images ({int(new.sum()):,} new), {bands.bits} x {4 * bands.table_groups}: "
        f"{seconds:.0f} s, {cpu:.0f} s of CPU, {gigabytes:.2f} GiB; "
        f"{len(true):,} of {int(expected.sum()):,} copies found"
    )


def synthetic(images: int) -> NDArray[np.uint8]:
    """Smooth noise; the last tenth are noisy copies of the first tenth, in all poses."""
    noise = np.random.default_rng(0)
    found = np.empty((images, 32, 32), np.uint8)
    copies = images // 10
    for start in range(0, images - copies, PART):
        part = found[start : min(start + PART, images - copies)]
        smooth = gaussian_filter(noise.normal(0, 150, part.shape), (0, 1.5, 1.5))
        part[:] = np.clip(128 + smooth, 0, 255)
    last = found[images - copies :]
    for number, (rows, columns) in enumerate(POSES.values()):
        posed = found[:copies][number::4, ::rows, ::columns]
        last[number::4] = np.clip(posed * 0.9 + noise.normal(0, 1.5, posed.shape), 0, 255)
    return found


if __name__ == "__main__":
    main()

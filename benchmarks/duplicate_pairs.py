"""A sheet of picture pairs, to count by eye how often near duplicates are merged wrongly.

    python -m benchmarks.duplicate_pairs DATASET FOLDER [--low 0.94] [--high 1.01]
        [--distance 12] [--pairs 60] [--seed 0] [--sheet pairs.png]

Lands and packs FOLDER into a temporary store, finds all pairs whose hashes differ in at most
``--distance`` bits and whose thumbnails correlate from ``--low`` to ``--high``, and draws a random
sample of them: the first picture, the second one turned into the first one's pose, and how they
differ (grey where they do not). Prints how many pairs there are by distance and correlation, and
where the data set knows groups, how many pairs are of one group.
"""

import argparse
import io
import tempfile
import time
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from PIL import Image, ImageDraw
from rich.console import Console

from pipelines.data import revisions
from pipelines.data.duplicates.descriptors import POSES, stacked
from pipelines.data.duplicates.duplicates import near_pairs
from pipelines.data.land import ingest, landing
from pipelines.data.restore import originals
from pipelines.data.revisions import PACK_COLUMNS, Row
from pipelines.data.split.leaks import named
from pipelines.isolation import IsolatedSettings
from pipelines.spec import DuplicatesSpec, load_spec
from pipelines.stage import Context
from pipelines.storage import open_store

TILE = 150
CAPTION = 14
COLUMNS = 3
STEPS = [-1, 0.6, 0.7, 0.8, 0.85, 0.9, 0.92, 0.94, 0.96, 0.98, 1.01]


def main() -> None:
    """Find the pairs, print their counts, draw the sheet."""
    options = _options()
    console = Console()
    with tempfile.TemporaryDirectory() as folder:
        settings = IsolatedSettings(home=Path(folder), store=(Path(folder) / "store").as_uri())
        context = Context(settings, open_store(settings))
        spec = load_spec(options.dataset)
        snapshot = ingest.run(spec, context, landing.run(spec, context, options.folder))
        columns = [*PACK_COLUMNS, "label", "patient", "thumbnail"]
        images = revisions.files(context, snapshot, columns).to_pandas()
        images = images.drop_duplicates("sha256").rename(columns={"patient": "group"})
        images = images.sort_values("sha256", ignore_index=True)
        start = time.perf_counter()
        pairs = _pairs(images, options)
        console.print(f"{len(images):,} images, {time.perf_counter() - start:.1f} s")
        _count(console, images, pairs)
        pairs = pairs[pairs["correlation"] < options.high]
        sample = pairs.sample(min(options.pairs, len(pairs)), random_state=options.seed)
        shown = named(images, sample.sort_values("correlation"))
        _sheet(_pictures(context, images, shown), shown).save(options.sheet)
        console.print(f"{len(shown)} of {len(pairs):,} pairs drawn: {options.sheet}")


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("dataset")
    parser.add_argument("folder")
    parser.add_argument("--low", type=float, default=0.94)
    parser.add_argument("--high", type=float, default=1.01)
    parser.add_argument("--distance", type=int, default=12)
    parser.add_argument("--pairs", type=int, default=60)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--sheet", type=Path, default=Path("pairs.png"))
    return parser.parse_args()


def _pairs(images: pd.DataFrame, options: argparse.Namespace) -> pd.DataFrame:
    thumbnails = stacked(images["thumbnail"])
    rule = DuplicatesSpec(hash_distance=options.distance, correlation=options.low)
    return near_pairs(thumbnails, rule)


def _count(console: Console, images: pd.DataFrame, pairs: pd.DataFrame) -> None:
    level = pd.cut(pairs["correlation"], STEPS, right=False)
    console.print(pd.crosstab(level, pairs["distance"]).to_string())
    console.print(pd.crosstab(level, pairs["pose"]).to_string())
    if images["group"].notna().any():
        group = images["group"].to_numpy()
        same = pd.Series(group[pairs["first"]] == group[pairs["second"]], index=pairs.index)
        console.print(same.groupby(level, observed=True).agg(["sum", "count"]).to_string())


def _pictures(
    context: Context, images: pd.DataFrame, shown: pd.DataFrame
) -> dict[str, NDArray[np.uint8]]:
    wanted = images[images["sha256"].isin({*shown["first_sha256"], *shown["second_sha256"]})]
    rows: list[Row] = [{str(k): v for k, v in row.items()} for row in wanted.to_dict("records")]
    return {row["sha256"]: _grey(data) for row, data in originals(context, rows)}


def _grey(data: bytes) -> NDArray[np.uint8]:
    picture = Image.open(io.BytesIO(data)).convert("L")
    return np.asarray(picture.resize((TILE, TILE), Image.Resampling.BOX))


def _sheet(pictures: dict[str, NDArray[np.uint8]], shown: pd.DataFrame) -> Image.Image:
    rows = -(-len(shown) // COLUMNS)
    sheet = Image.new("L", (COLUMNS * 3 * TILE, rows * (TILE + CAPTION)))
    draw = ImageDraw.Draw(sheet)
    for number, pair in enumerate(shown.to_dict("records")):
        left = number % COLUMNS * 3 * TILE
        top = number // COLUMNS * (TILE + CAPTION)
        down, across = POSES[pair["pose"]]
        first = pictures[pair["first_sha256"]]
        second = pictures[pair["second_sha256"]][::down, ::across]
        tiles = np.hstack([first, second, _difference(first, second)])
        sheet.paste(Image.fromarray(tiles), (left, top + CAPTION))
        names = " ".join(Path(pair[f"{side}_source_path"]).stem for side in ("first", "second"))
        caption = f"{number + 1}: {pair['correlation']:.3f} {pair['distance']} bits {pair['pose']}"
        draw.text((left + 2, top + 1), f"{caption} {names}", fill=255)
    return sheet


def _difference(first: NDArray[np.uint8], second: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """How two pictures of equal mean and contrast would differ; 128 where they do not."""
    one, two = ((p - p.mean()) / max(p.std(), 1.0) for p in (first, second))
    return np.asarray(np.clip(128 + 60 * (one - two), 0, 255), np.uint8)


if __name__ == "__main__":
    main()

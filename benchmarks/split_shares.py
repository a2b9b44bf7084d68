"""Which shares a collection is divided into, in one delivery and in many.

    python -m benchmarks.split_shares DATASET FOLDER [--deliveries 20] [--repeats 3]

Lands FOLDER into a temporary store, finds the near duplicates, and divides the images by the rule
of DATASET, as if the collection had no test folder: all at once, and ``--repeats`` times in so
many deliveries of random images. Prints the shares of the images that a split has, and of those
left out as leaks: images that had trained before their cluster came into the test set.
"""

import argparse
import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
from rich.console import Console
from rich.table import Table

from pipelines.data import revisions
from pipelines.data.duplicates import clusters
from pipelines.data.duplicates.descriptors import stacked
from pipelines.data.duplicates.duplicates import near_pairs
from pipelines.data.land import ingest, landing
from pipelines.data.split import division, members
from pipelines.data.split.source_clusters import source_clusters
from pipelines.isolation import IsolatedSettings
from pipelines.outputs import SPLITS
from pipelines.spec import DatasetSpec, load_spec
from pipelines.stage import Context
from pipelines.storage import open_store

COLUMNS = ["sha256", "source_path", "label", "patient", "thumbnail", "traces"]


def main() -> None:
    """Divide the collection, and print the shares."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("dataset")
    parser.add_argument("folder")
    parser.add_argument("--deliveries", type=int, default=20)
    parser.add_argument("--repeats", type=int, default=3)
    options = parser.parse_args()
    spec = load_spec(options.dataset)
    images = _images(spec, options.folder)
    pairs = near_pairs(stacked(images["thumbnail"]), spec.duplicates)
    table = Table("deliveries", *SPLITS, "leak", "least test of a class", "clusters")
    for seed in range(options.repeats + 1):
        order = np.random.default_rng(seed).permutation(len(images))
        parts = np.array_split(order, options.deliveries if seed else 1)
        *_, rows = _divided(spec, images, pairs, parts)
        share = rows["split"].fillna(rows["excluded"]).value_counts(normalize=True)
        tests = (rows["split"] == "test").groupby(rows["label"]).mean()
        shown = [f"{share.get(name, 0):.3f}" for name in (*SPLITS, "leak")]
        shown += [f"{tests.min():.3f}", f"{rows['cluster'].nunique():,}"]
        table.add_row(str(len(parts)), *shown)
    console = Console()
    console.print(f"{spec.name}: {len(images):,} images, asked for {spec.split}")
    console.print(table)


def _images(spec: DatasetSpec, folder: str) -> pd.DataFrame:
    """The images of a landing folder, sorted by sha256."""
    with tempfile.TemporaryDirectory(prefix="medloop-") as home:
        settings = IsolatedSettings(home=Path(home), store=(Path(home) / "store").as_uri())
        context = Context(settings, open_store(settings))
        snapshot = ingest.run(spec, context, landing.run(spec, context, folder))
        files = revisions.files(context, snapshot, COLUMNS).to_pandas()
    images = files.drop_duplicates("sha256").rename(columns={"patient": "group"})
    images = images.sort_values("sha256", ignore_index=True).assign(declared_split=None)
    source = source_clusters(images["traces"].to_list(), seed=spec.split.seed)
    found: pd.DataFrame = images.assign(source=source)
    return found


def _divided(
    spec: DatasetSpec, images: pd.DataFrame, pairs: pd.DataFrame, parts: list[np.ndarray]
) -> Iterator[pd.DataFrame]:
    """The division after each delivery."""
    is_there = np.zeros(len(images), bool)
    before = pd.DataFrame({"first_test": [], "first_training": []}, dtype="Int32")
    for part in parts:
        is_there[part] = True
        place = np.cumsum(is_there) - 1
        known = pairs[is_there[pairs["first"]] & is_there[pairs["second"]]]
        known = known.assign(first=place[known["first"]], second=place[known["second"]])
        rows = images[is_there].reset_index(drop=True)
        links = clusters.links(
            known, stacked(rows["thumbnail"]), correlation=spec.duplicates.correlation
        )
        rows["cluster"] = rows["sha256"].map(clusters.clusters(rows, rows, links))
        division.decide(rows, spec.split, before)
        clusters.separate(rows, rows, known)
        yield rows
        used = pd.DataFrame(index=pd.Index(rows["sha256"]), columns=before.columns, dtype="Int32")
        used.loc[rows["split"].eq("test").to_numpy(), "first_test"] = 1
        used.loc[rows["split"].isin(members.TRAINED).to_numpy(), "first_training"] = 1
        before = used.combine_first(before)


if __name__ == "__main__":
    main()

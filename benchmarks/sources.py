"""How well a validation set drawn at random, and one of whole sources, foretell the test figure.

    python -m benchmarks.sources FOLDER PREPARED [--seeds 5] [--sheet sources.png]

FOLDER is the landing folder, PREPARED a training set on this machine (such as
``.medloop/cache/brain_mri/training_sets/<id>``). Training and validation images are thrown together
and divided anew in each way; a logistic regression on frozen EfficientNet-Lite0 features learns
from one part, and is asked about the validation part and about the test set. Prints the table,
and draws pictures of each source.
"""

import argparse
import os
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table

from pipelines.data.input.arrays import Arrays
from pipelines.data.input.cache import read_set
from pipelines.data.input.training_set import TrainingSet
from pipelines.data.split.division import draw, source_of_cluster, validation_clusters
from pipelines.data.split.source_clusters import source_clusters
from pipelines.evaluation.predictions import described
from pipelines.evidence.source_pictures import draw_sources
from pipelines.features.network import Backbone, describe_here
from pipelines.imaging import decode
from pipelines.imaging.traces import traces
from pipelines.outputs import SPLITS, SplitName
from pipelines.progress import track

SHARE = 0.15
DIRECTIONS = 256
"""Main directions of the features that the regression sees."""
PENALTY = 0.01
"""Of the logistic regression: the inverse of its L2 penalty's strength."""
STEPS = 200
LEAST = 100
"""Images of a source below which it does not validate alone."""

Features = NDArray[np.float32]
Ways = Iterator[tuple[str, "pd.Series[bool]"]]


def main() -> None:
    """Divide, learn, ask, print."""
    options = _options()
    data = read_set(options.prepared)
    rows = pd.concat([described(data, split).assign(split=split) for split in SPLITS])
    rows = rows.reset_index(drop=True).rename(columns={"group": "cluster"})
    rows["source"] = source_clusters(_traces(options.folder, rows["source_path"]), seed=17)
    tests = rows["split"] == "test"
    features = _reduced(np.concatenate([_features(data, split) for split in SPLITS]), ~tests)
    console = Console(width=110)
    console.print(pd.crosstab(rows["source"], [rows["split"] == "test", rows["label"]]))
    found = []
    for way, held in _ways(rows[~tests], options.seeds):
        validates = held.reindex(rows.index, fill_value=False)
        answers = _answers(features, rows["label"], ~tests & ~validates)
        right = pd.Series(answers == rows["label"].to_numpy(), index=rows.index)
        asked = {"validation": right[validates], "test": right[tests]}
        accuracies = {name: float(part.mean()) for name, part in asked.items()}
        found.append({"way": way, "images": int(validates.sum()), **accuracies})
        console.print(found[-1])
    console.print(_table(pd.DataFrame(found)))
    if options.sheet:
        sources = {
            split: rows.loc[rows["split"] == split, "source"].to_numpy(np.int32) for split in SPLITS
        }
        draw_sources(data, sources, options.sheet, title="Sources found in the collection")


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("prepared", type=Path)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--sheet", type=Path)
    return parser.parse_args()


def _traces(folder: Path, paths: "pd.Series[str]") -> list[list[float]]:
    files = track((folder / path for path in paths), total=len(paths), what="Opening files")
    contents = (file.read_bytes() for file in files)
    return [traces(content, decode(content)) for content in contents]


def _features(data: TrainingSet, split: SplitName) -> Features:
    """(n, k) pooled features, in file order."""
    images = data.split(split)
    arrays = Arrays.of(describe_here(data, Backbone()), images.table)
    return arrays.take(np.arange(images.rows))


def _reduced(features: Features, known: "pd.Series[bool]") -> Features:
    """The main directions of the features of known images, each scaled to one."""
    from sklearn.decomposition import PCA

    directions = min(DIRECTIONS, int(known.sum()), features.shape[1])
    reduced = PCA(directions, whiten=True, random_state=0).fit(features[known])
    return np.asarray(reduced.transform(features), np.float32)


def _ways(rows: pd.DataFrame, seeds: int) -> Ways:
    """How validation is made, and which images it then holds."""
    for seed in range(seeds):
        yield "at random, by group", rows["cluster"].isin(draw(rows, SHARE, seed=seed))
    yield "the sources nearest to 15 %", rows["cluster"].isin(validation_clusters(rows, SHARE))
    source = rows["cluster"].map(source_of_cluster(rows))
    sizes = source.value_counts()
    for number in sizes.index[sizes >= LEAST]:
        yield "each source in turn", source == number


def _answers(
    features: Features, labels: "pd.Series[str]", learns: "pd.Series[bool]"
) -> NDArray[np.str_]:
    """The class that each image is taken for."""
    from sklearn.linear_model import LogisticRegression

    model = LogisticRegression(C=PENALTY, max_iter=STEPS, class_weight="balanced")
    model.fit(features[learns], labels[learns])
    answers: NDArray[np.str_] = model.predict(features)
    return answers


def _table(found: pd.DataFrame) -> Table:
    """Means over the runs of each way; each image that validates counts the same. A way that
    finds no image to validate with is left out."""
    table = Table("validation", "runs", "accuracy on it", "on the test set", "too high by")
    for way, runs in found[found["images"] > 0].groupby("way", sort=False):
        validation, test = (
            float(np.average(runs[name], weights=runs["images"])) for name in ("validation", "test")
        )
        cells = (f"{validation:.3f}", f"{test:.3f}", f"{validation - test:+.3f}")
        table.add_row(str(way), str(len(runs)), *cells)
    return table


if __name__ == "__main__":
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    main()

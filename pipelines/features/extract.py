"""The stage that describes prepared images by rows of numbers, with Spark.

    <dataset>/features/<key>/<part>.parquet   of each part of prepared images: `worker.FEATURES`
    <dataset>/features/<key>/manifest.json    `pipelines.outputs.Features`

The key is the fingerprint of the prepared images' folder, the network and the code. A part never
changes, and neither do its features: a delivery describes its own parts, and whoever needs the same
numbers again (a head on a frozen backbone, a regression, a profile) reads them. A file appears
whole, so a killed run goes on with the next part.
"""

import json
import logging
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, replace
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import pyarrow as pa
from numpy.typing import NDArray

from pipelines.atomic import written_whole
from pipelines.data.input import cache
from pipelines.data.input.arrays import Arrays, array_file
from pipelines.data.input.training_set import TrainingSet
from pipelines.data.prepare.listings import features_path
from pipelines.errors import NotFound
from pipelines.features import network, worker
from pipelines.features.code import Kind, features_code
from pipelines.features.network import Backbone
from pipelines.features.worker import DescribeJob
from pipelines.locks import alone
from pipelines.models.identity import weights_identity
from pipelines.outputs import Features, Prepared, PreparedImages, SplitName
from pipelines.progress import track
from pipelines.spark import parquet
from pipelines.spark.sent import sent
from pipelines.spark.session import spark_session, told
from pipelines.stage import MANIFEST, Context, existing_output, fingerprint, used

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

logger = logging.getLogger(__name__)

KNOWN = ["split", "label", "sha256", "source_path", "group"]
"""What is said of an image that is described."""
ORDER = ["source_path", "sha256", "split"]
FILE_VALUES = 128 << 18
"""Numbers in a partition of a frame: 128 MB."""


@dataclass(frozen=True)
class Described:
    """Images and their numbers."""

    images: pd.DataFrame
    """`KNOWN`, in `ORDER`."""
    values: NDArray[np.float32]
    """(n, k)"""

    def of(self, split: SplitName) -> "Described":
        """The images of one split."""
        rows = (self.images["split"] == split).to_numpy()
        return Described(self.images[rows].reset_index(drop=True), self.values[rows])

    @property
    def labels(self) -> NDArray[np.int64]:
        """(n,) index into the classes."""
        return self.images["label"].to_numpy(np.int64)


def run(
    context: Context,
    prepared: Prepared,
    rows: pa.Table,
    *,
    kind: Kind,
    backbone: Backbone | None = None,
) -> Features:
    """Describe the images of every part that is not described yet.

    Args:
        context: settings and store.
        prepared: a training set; whose images.
        rows: of it, `pipelines.data.prepare.keys.PLACED`: which parts.
        kind: which numbers.
        backbone: for ``deep``, whose; the default one if ``None``.

    Raises:
        SpecError: the zoo has no such backbone.
        WeightsError: the backbone's weights cannot be had.
        NotFound: parts are gone.
        StackError: Java is missing, or Spark does not start.
        StoreUnavailable: the store does not answer.
    """
    whose = (backbone or Backbone()) if kind == "deep" else None
    identity = name_of(prepared, kind, whose)
    features = Features(
        dataset=prepared.dataset,
        id=identity,
        images=prepared.images,
        path=f"{prepared.dataset}/features/{identity}",
        kind=kind,
        model=whose.model if whose else None,
    )
    if existing_output(context, features.path, Features) is not None:
        used(context, features.path)
    if _missing(context, features, rows):
        with alone(context.settings.work / "features" / identity):  # others wait, and read
            if missing := _missing(context, features, rows):
                _describe(context, features, missing, whose)
    return features


def name_of(prepared: Prepared, kind: Kind, backbone: Backbone | None) -> str:
    """The id of the features of prepared images, whether they are there or not."""
    if backbone is None:
        return fingerprint(prepared.images, kind, features_code(kind))
    known = backbone._replace(weights=str(weights_identity(backbone.weights)))
    code = features_code(kind, backbone.model), version("openvino")
    return fingerprint(prepared.images, kind, known, code)


def training_set(context: Context, prepared: Prepared) -> TrainingSet:
    """Open a training set as `cache.fetch` does; its features are computed when they are needed.

    Raises:
        NotFound: the store has no such training set, or images of it are gone.
        StoreUnavailable: the store does not answer.
    """
    data = cache.fetch(context, prepared)

    def describe(rows: pa.Table, backbone: Backbone) -> Path:
        try:
            features = run(context, prepared, rows, kind="deep", backbone=backbone)
            return fetch(context, features, rows)
        except NotFound:  # parts that this machine has were merged in the store since
            return network.describe_here(data, backbone)

    return replace(data, describe=describe)


def fetch(context: Context, features: Features, rows: pa.Table) -> Path:
    """The folder, on this machine, of `Arrays` of the features of some rows: (part's rows, k).

    Raises:
        NotFound: features are gone.
        StoreUnavailable: the store does not answer.
    """
    folder = context.settings.cache / features.path
    folder.mkdir(parents=True, exist_ok=True)
    missing = [part for part in _parts(rows) if not array_file(folder, part).is_file()]
    for part in track(missing, total=len(missing), what="Fetching features (parts)"):
        with parquet.opened(context.store, features_path(features.path, part)) as file:
            values = file.read(["values"])["values"].combine_chunks()
        with written_whole(array_file(folder, part)) as array:
            np.save(array, values.flatten().to_numpy().reshape(len(values), -1))
    return folder


def read(context: Context, features: Features, rows: pa.Table) -> Described:
    """Some rows and their numbers.

    Raises:
        NotFound: features are gone.
        StoreUnavailable: the store does not answer.
    """
    rows = rows.sort_by([(name, "ascending") for name in ORDER])
    arrays = Arrays.of(fetch(context, features, rows), rows)
    return Described(rows.select(KNOWN).to_pandas(), arrays.take(np.arange(rows.num_rows)))


def frame(
    spark: "SparkSession", context: Context, features: Features, rows: pa.Table
) -> "DataFrame":
    """Some rows and their numbers, `KNOWN` and ``values``, as a frame.

    Its partitions and their order do not depend on how the images arrived.
    """
    from pyspark.sql import functions as F

    files = [context.store.uri(features_path(features.path, part)) for part in _parts(rows)]
    values = parquet.read(spark, context, "part string, row int, values array<float>", files)
    wanted = spark.createDataFrame(rows.select(["part", "row", *KNOWN]).to_pandas())
    width = 2048 if features.kind == "deep" else 1024
    return (
        values.join(F.broadcast(wanted), ["part", "row"])
        .drop("part", "row")
        .repartition(-(-rows.num_rows * width // FILE_VALUES), "sha256")
        .sortWithinPartitions(*ORDER)
    )


def _parts(rows: pa.Table) -> list[str]:
    return sorted(rows["part"].unique().to_pylist())


def _missing(context: Context, features: Features, rows: pa.Table) -> list[str]:
    existing = {f"{features.path}/{name}" for name in context.store.names(features.path)}
    return [part for part in _parts(rows) if features_path(features.path, part) not in existing]


def _describe(
    context: Context, features: Features, missing: list[str], backbone: Backbone | None
) -> None:
    from pyspark.sql import functions as F

    kept = existing_output(context, features.images, PreparedImages)
    assert kept is not None, f"{features.images} has parts"
    what = f"{features.kind} features of {features.dataset}"
    logger.info("%s: %d parts are described", what, len(missing))
    with _exported(backbone, kept.size) as exported:
        manifest = json.dumps({"output": features.model_dump(mode="json")}, indent=2)
        context.store.create(f"{features.path}/{MANIFEST}", manifest.encode())
        with (
            spark_session(context.settings, name=f"features {features.dataset}") as spark,
            sent(spark, exported) if exported else nullcontext() as archive,
        ):
            job = DescribeJob(
                context.settings,
                images=features.images,
                folder=features.path,
                kind=features.kind,
                size=kept.size,
                archive=archive,
            )
            parts = spark.createDataFrame(list(enumerate(missing)), "number int, part string")
            described = parts.repartitionById(len(missing), F.col("number")).mapInArrow(
                partial(worker.describe_parts, job=job), "part string"
            )
            with told(spark, what=what, tasks=len(missing)):
                described.collect()


@contextmanager
def _exported(backbone: Backbone | None, size: int) -> Iterator[Path | None]:
    """A folder with the backbone as OpenVINO runs it; ``None`` where there is none."""
    with tempfile.TemporaryDirectory(prefix="medloop-") as folder:
        if backbone is not None:
            network.export(backbone, Path(folder), size=size)
        yield Path(folder) if backbone else None

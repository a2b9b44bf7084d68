"""The stage that describes every prepared image by a row of numbers, with Spark.

    <dataset>/features/<id>/<kind>.parquet   one row an image: split, label, sha256, source_path,
                                             group, values (float32)
    <dataset>/features/<id>/manifest.json

Kept in the store: whoever needs the same numbers of the same images again reads them.
"""

import io
import logging
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from pipelines.data.prepare.frame import frame as frame_of
from pipelines.data.prepare.keys import placed
from pipelines.features import network, worker
from pipelines.features.code import Kind, features_code
from pipelines.features.network import Backbone
from pipelines.features.worker import DDL, KNOWN, VALUES, DescribeJob
from pipelines.models.identity import weights_identity
from pipelines.outputs import Features, Prepared, SplitName
from pipelines.spark import parquet
from pipelines.spark.sent import sent
from pipelines.spark.session import spark_session, told
from pipelines.spec import DatasetSpec
from pipelines.stage import MANIFEST, Context, fingerprint, standing

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

logger = logging.getLogger(__name__)

FILE_BYTES = 128 << 20
"""Numbers in a file, before compression: an HDFS block."""
MOST_VALUES = 2048
"""Of an image, for the number of files."""


@dataclass(frozen=True)
class Described:
    """Images and their numbers."""

    images: pd.DataFrame
    """`KNOWN`, ordered by ``source_path`` and ``sha256``."""
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
    spec: DatasetSpec,
    context: Context,
    prepared: Prepared,
    *,
    kind: Kind,
    backbone: Backbone | None = None,
) -> Features:
    """Describe every image of every split; does nothing where the numbers stand already.

    Args:
        spec: of the data set.
        context: settings and store.
        prepared: the images.
        kind: which numbers.
        backbone: for ``deep``, whose; the default one if ``None``.

    Raises:
        SpecError: the zoo has no such backbone.
        WeightsError: the backbone's weights cannot be had.
        NotFound: the training set is gone.
        StackError: Java is missing, or Spark does not start.
        StoreUnavailable: the store does not answer.
    """
    whose = (backbone or Backbone()) if kind == "deep" else None
    identity = name_of(prepared, kind, whose)
    path = f"{spec.name}/features/{identity}"
    if (done := standing(context, path, Features)) is not None:
        logger.info("The features %s stand already", context.store.uri(path))
        return done
    features = Features(
        dataset=spec.name,
        id=identity,
        prepared=prepared.path,
        path=path,
        kind=kind,
        model=whose.model if whose else None,
        images=sum(prepared.rows.values()),
    )
    size, rows = spec.image.size, placed(context.store, prepared)
    with context.store.commit(path) as staging:
        with spark_session(context.settings, name=f"features {spec.name}") as spark:
            images = frame_of(spark, context, prepared, rows)
            with _sent(spark, whose, size) as archive:
                job = DescribeJob(kind=kind, size=size, archive=archive)
                target = f"{staging}/{kind}.parquet"
                _write(context, images, features, job, target=target)
        said = {"output": features.model_dump(mode="json")}
        context.store.write_json(f"{staging}/{MANIFEST}", said)
    return features


def name_of(prepared: Prepared, kind: Kind, backbone: Backbone | None) -> str:
    """The id of the features of prepared images, whether they stand or not."""
    if backbone is None:
        return fingerprint(prepared.id, kind, features_code(kind))
    weights = weights_identity(backbone.weights)
    code = features_code(kind, backbone.model)
    return fingerprint(prepared.id, kind, backbone.model, weights, code)


def read(context: Context, features: Features) -> Described:
    """The numbers that stand in the store.

    Raises:
        StoreUnavailable: the store does not answer.
    """
    paths = _paths(context, features)
    parts = [pq.read_table(io.BytesIO(context.store.read(path))) for path in paths]
    table = pa.concat_tables(parts).sort_by(
        [("source_path", "ascending"), ("sha256", "ascending"), ("split", "ascending")]
    )
    values = table[VALUES].combine_chunks().flatten().to_numpy()
    return Described(table.select([*KNOWN]).to_pandas(), values.reshape(table.num_rows, -1))


def frame(spark: "SparkSession", context: Context, features: Features) -> "DataFrame":
    """The numbers that are in the store, as a frame with the columns of `worker.DDL`."""
    files = [context.store.uri(path) for path in _paths(context, features)]
    return parquet.read(spark, context, DDL, files)


def _paths(context: Context, features: Features) -> list[str]:
    folder = f"{features.path}/{features.kind}.parquet"
    names = context.store.names(folder)
    return [f"{folder}/{name}" for name in names if name.endswith(".parquet")]


def _write(
    context: Context, images: "DataFrame", features: Features, job: DescribeJob, *, target: str
) -> None:
    files = -(-features.images * MOST_VALUES * 4 // FILE_BYTES)
    rows = (
        images.mapInArrow(partial(worker.describe_batches, job=job), DDL)
        .repartition(files, "sha256")
        .sortWithinPartitions("source_path", "sha256", "split")
    )
    what = f"{features.kind} features of {features.dataset}"
    with told(images.sparkSession, what=what, tasks=images.rdd.getNumPartitions()):
        parquet.write(rows, context, target)


@contextmanager
def _sent(spark: "SparkSession", backbone: Backbone | None, size: int) -> Iterator[str | None]:
    """The name of the exported backbone at the executors; ``None`` where there is none."""
    with tempfile.TemporaryDirectory(prefix="medloop-") as folder:
        if backbone is not None:
            network.export(backbone, Path(folder), size=size)
        with sent(spark, Path(folder)) if backbone else nullcontext() as archive:
            yield archive

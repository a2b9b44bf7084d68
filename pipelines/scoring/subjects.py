"""What is scored: the images of a snapshot, or the files of a folder.

Either is divided into tasks beforehand, so that progress can be told, and a task that is lost
costs little. The same images give the same tasks.
"""

import hashlib
import os
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property, partial
from typing import TYPE_CHECKING, Protocol

import pyarrow as pa

from pipelines.data import revisions
from pipelines.data.folders import LandingFolder, open_folder
from pipelines.data.land.originals import LandedFiles
from pipelines.data.land.pseudonyms import load_pseudonyms
from pipelines.errors import BadImage, LandingError
from pipelines.outputs import Snapshot
from pipelines.scoring.answers import Row, columns
from pipelines.scoring.worker import FILE_KNOWN, PACKED_KNOWN, ScoreJob, score_files, score_packed
from pipelines.spark import parquet
from pipelines.spec import DatasetSpec
from pipelines.stage import Context, fingerprint

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession
    from pyspark.sql.types import StructType

IMAGES_PER_TASK = 128
"""A second or two of work, and a part of the progress that is told."""
BYTES_PER_TASK = 64 << 20


class Subject(Protocol):
    """Images to be scored."""

    @property
    def identity(self) -> str:
        """Stands for what the images are."""

    @property
    def snapshot_path(self) -> str | None:
        """Store path of the snapshot they are of."""

    @property
    def place(self) -> str | None:
        """The folder they stand in."""

    @property
    def images(self) -> int:
        """How many rows there will be."""

    @property
    def tasks(self) -> int:
        """How many tasks Spark is given."""

    def frame(self, spark: "SparkSession", job: ScoreJob, classes: tuple[str, ...]) -> "DataFrame":
        """Their rows: ``source_path``, ``sha256``, ``label`` and `answers.columns`."""


class InTasks:
    """What both kinds of images share: rows, and the tasks they are divided into."""

    rows: list[Row]

    @cached_property
    def plan(self) -> list[Row]:
        """The rows that are scored, each with its ``task``."""
        return list(_divided(self.scored()))

    def scored(self) -> list[Row]:
        """The rows that are scored."""
        return self.rows

    @property
    def images(self) -> int:
        return len(self.rows)

    @property
    def tasks(self) -> int:
        return int(self.plan[-1]["task"]) + 1


@dataclass(frozen=True)
class SnapshotImages(InTasks):
    """Every image of a snapshot, with the label it landed with. Its bytes are read by Spark;
    those that several images share are scored once."""

    context: Context
    snapshot: Snapshot
    rows: list[Row]
    """``sha256``, ``source_path``, ``label``, ``pack`` and ``bytes`` of each image."""

    @property
    def identity(self) -> str:
        return self.snapshot.id

    @property
    def snapshot_path(self) -> str | None:
        return self.snapshot.path

    @property
    def place(self) -> str | None:
        return None

    def scored(self) -> list[Row]:
        once = {row["sha256"]: row for row in self.rows}
        return [once[sha256] for sha256 in sorted(once)]

    def frame(self, spark: "SparkSession", job: ScoreJob, classes: tuple[str, ...]) -> "DataFrame":
        from pyspark.sql import functions as F

        files = sorted({self.context.store.uri(row["pack"]) for row in self.rows})
        packed = parquet.read(spark, self.context, "sha256 string, content binary", files)
        plan = spark.createDataFrame(_table(self.plan, ["sha256", "task"]))
        originals = (
            packed.join(F.broadcast(plan), "sha256")
            .repartitionById(self.tasks, F.col("task").cast("int"))
            .select("sha256", "content")
        )
        schema = _spark_schema(PACKED_KNOWN, classes)
        answers = originals.mapInArrow(partial(score_packed, job=job), schema)
        listed = spark.createDataFrame(_table(self.rows, ["source_path", "sha256", "label"]))
        return answers.join(F.broadcast(listed), "sha256")


@dataclass(frozen=True)
class FolderFiles(InTasks):
    """Every file below a folder, whatever it is; each is read by the worker that scores it."""

    source: LandingFolder
    rows: list[Row]
    """``path`` (as bytes: it need not be text), ``source_path``, ``pseudonym``, ``bytes`` and
    ``version`` of each file."""

    @property
    def identity(self) -> str:
        listed = [[repr(row["path"]), row["version"]] for row in self.rows]
        return fingerprint(listed)

    @property
    def snapshot_path(self) -> str | None:
        return None

    @property
    def place(self) -> str | None:
        return self.source.location

    def frame(self, spark: "SparkSession", job: ScoreJob, classes: tuple[str, ...]) -> "DataFrame":
        from pyspark.sql import functions as F

        table = _table(self.plan, ["path", "source_path", "pseudonym", "task"])
        files = spark.createDataFrame(table).repartitionById(self.tasks, F.col("task").cast("int"))
        score = partial(score_files, source=self.source, job=job)
        answers = files.mapInArrow(score, _spark_schema(FILE_KNOWN, classes))
        return answers.withColumn("label", F.lit(None).cast("string"))


def choose(
    spec: DatasetSpec, context: Context, *, snapshot: str | None, source: str | None
) -> Subject:
    """The files of a folder, or the images of a snapshot: the newest, if neither is named.

    Args:
        spec: the data set.
        context: settings and store.
        snapshot: a snapshot's id.
        source: a folder; see `of_folder`.

    Raises:
        LandingError: both are named, or the folder is missing, empty or unreadable.
        NotFound: there is no such snapshot, or none yet.
        StoreUnavailable: HDFS does not answer.
    """
    if source is None:
        return of_snapshot(context, revisions.require(context, spec.name, snapshot))
    if snapshot is not None:
        raise LandingError(f"Name a folder or a snapshot, not both: {source} and {snapshot}.")
    return of_folder(spec, context, source)


def of_snapshot(context: Context, snapshot: Snapshot) -> SnapshotImages:
    """The images of a snapshot."""
    columns = ["sha256", "source_path", "label", "pack", "bytes"]
    files = revisions.files(context, snapshot, columns)
    return SnapshotImages(context, snapshot, files.to_pylist())


def of_folder(spec: DatasetSpec, context: Context, place: str) -> FolderFiles:
    """The files of a folder; what the spec says is no image (``landing.ignore``) is left out.

    Args:
        spec: the data set.
        context: settings and store.
        place: a local path, or ``hdfs:///PATH``.

    Raises:
        LandingError: the folder is missing, empty or unreadable.
        StoreUnavailable: HDFS does not answer.
    """
    source = open_folder(context.settings, place)
    if not source.exists():
        raise LandingError(f"There is no folder {source.location}. Name a folder of images.")
    table = spec.landing.table.files if spec.landing.table else ()
    files = source.files(ignore=(*spec.landing.left_out, *table))
    if not files:
        raise LandingError(f"The folder {source.location} holds no files to score.")
    names = LandedFiles(spec, source, load_pseudonyms(context.settings))
    rows = [
        {
            "path": os.fsencode(file.path),
            "source_path": names.plain(file.path),
            "pseudonym": names.pseudonym(file.path),
            "bytes": file.size,
            "version": file.version if file.identity else _content(source, file.path),
        }
        for file in files
    ]
    return FolderFiles(source, rows)


def _content(source: LandingFolder, path: str) -> str:
    """What distinguishes a file where the file system does not tell it from its replacement."""
    try:
        return hashlib.sha256(source.read(path)).hexdigest()
    except BadImage as error:
        return error.reason


def _divided(rows: list[Row]) -> Iterator[Row]:
    """Rows with their ``task``: as many as make a task by number or by bytes."""
    task, images, size = 0, 0, 0
    for row in rows:
        if images == IMAGES_PER_TASK or (images and size + row["bytes"] > BYTES_PER_TASK):
            task, images, size = task + 1, 0, 0
        images, size = images + 1, size + row["bytes"]
        yield row | {"task": task}


def _table(rows: list[Row], names: list[str]) -> pa.Table:
    return pa.table({name: [row[name] for row in rows] for name in names})


def _spark_schema(known: pa.Schema, classes: tuple[str, ...]) -> "StructType":
    from pyspark.sql.pandas.types import from_arrow_schema

    return from_arrow_schema(pa.schema([*known, *columns(classes)]))

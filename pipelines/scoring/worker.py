"""What runs in Spark's Python workers: images in, answers out.

Each worker process opens the bundle once and keeps it; Spark keeps its workers, and gives each
one task after another. Rows come in batches of bounded size (`pipelines.spark.session`) and leave
in batches of the same images, so memory does not grow with their number.
"""

import hashlib
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import lru_cache, partial
from pathlib import Path

import pyarrow as pa

from pipelines.data.folders import LandingFolder
from pipelines.data.land.executor import decode_guarded
from pipelines.data.land.originals import may_name_patient
from pipelines.errors import BadImage
from pipelines.release.predictor import Picture, Predictor, open_predictor
from pipelines.scoring.answers import Opened, Row, answer, columns

PACKED_KNOWN = pa.schema([("sha256", pa.string())])
"""What a task knows of a packed original: its index says the rest."""
FILE_KNOWN = pa.schema([("source_path", pa.string()), ("sha256", pa.string())])
"""What a task knows of a file."""


@dataclass(frozen=True)
class ScoreJob:
    """What a worker has to know."""

    archive: str
    """Name of the bundle among the files that Spark has sent to the executors."""
    cache: Path
    """Folder where compiled models are kept."""
    overlays: bool


def score_packed(batches: Iterator[pa.RecordBatch], *, job: ScoreJob) -> Iterator[pa.RecordBatch]:
    """Score originals of a snapshot; ``mapInArrow`` calls this.

    Args:
        batches: rows with ``sha256`` and ``content``.
        job: the same for every task.

    Yields:
        `PACKED_KNOWN` and `answers.columns`, one row for each that came.
    """
    return _score(batches, _open_packed, PACKED_KNOWN, job=job)


def score_files(
    batches: Iterator[pa.RecordBatch], *, source: LandingFolder, job: ScoreJob
) -> Iterator[pa.RecordBatch]:
    """Score files of a folder; ``mapInArrow`` calls this.

    Args:
        batches: rows with ``path`` (in the folder, as bytes), ``source_path`` (its name if that is
            nobody's) and ``pseudonym`` (its name if it may be a patient's).
        source: the folder.
        job: the same for every task.

    Yields:
        `FILE_KNOWN` and `answers.columns`, one row for each that came.
    """
    return _score(batches, partial(_open_file, source), FILE_KNOWN, job=job)


def _score(
    batches: Iterator[pa.RecordBatch],
    open_row: Callable[[Predictor, Row], Opened],
    known: pa.Schema,
    *,
    job: ScoreJob,
) -> Iterator[pa.RecordBatch]:
    predictor = _predictor(job.archive, job.cache)
    schema = pa.schema([*known, *columns(predictor.class_names)])
    for batch in batches:
        opened = (open_row(predictor, row) for row in _rows(batch))
        rows = list(answer(predictor, opened, overlays=job.overlays))
        yield pa.RecordBatch.from_pylist(rows, schema=schema)


def _rows(batch: pa.RecordBatch) -> Iterator[Row]:
    """The rows of a batch, each copied when its turn comes."""
    for number in range(batch.num_rows):
        yield {name: batch[name][number].as_py() for name in batch.schema.names}


@lru_cache(maxsize=1)
def _predictor(archive: str, cache: Path) -> Predictor:
    """The bundle, opened once in this process and proved on its own canary images."""
    import cv2
    from pyspark import SparkFiles

    cv2.setNumThreads(1)  # as many workers as cores run side by side
    folder = Path(SparkFiles.get(archive))
    return open_predictor(folder, "openvino", cache=cache, threads=1)


def _open_packed(predictor: Predictor, row: Row) -> Opened:
    known = {"sha256": row["sha256"]}
    try:
        picture = predictor.see(row["content"])
    except BadImage as error:
        return Opened(known, error)
    if picture.sha256 != row["sha256"]:
        told = "The bytes in the snapshot are not those that landed. Ingest the image again."
        return Opened(known, BadImage("altered", told))
    return Opened(known, picture)


def _open_file(source: LandingFolder, predictor: Predictor, row: Row) -> Opened:
    path, data = os.fsdecode(row["path"]), b""
    try:
        with source.open(path) as file:
            data = file.read(predictor.limits.max_bytes + 1)
        content: Picture | BadImage = predictor.see(data, decode=decode_guarded)
    except BadImage as error:
        content = error
    name = "pseudonym" if may_name_patient(path, data) else "source_path"
    is_whole = 0 < len(data) <= predictor.limits.max_bytes
    sha256 = hashlib.sha256(data).hexdigest() if is_whole else None
    return Opened({"source_path": row[name], "sha256": sha256}, content)

"""A sample of what the service answered, kept in the store for monitoring.

    <dataset>/served/<date>/<time>-<8 hex digits>.parquet
    <dataset>/served/<date>/merged-<8 hex digits>.parquet

Each file holds answers of one model on one day (UTC), and appears whole or not at all. No pixels
and nothing that names a person: what the model made of the picture, and how bright and large the
picture was. A merged file names the files that it stands for; while both are there, it is the one
that counts (`pipelines.monitoring.compact`).
"""

import io
import json
import logging
import re
import secrets
from collections.abc import Iterable
from datetime import date

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from pipelines.monitoring.samples import Sample
from pipelines.storage import Store

logger = logging.getLogger(__name__)

PROBABILITY = "probability."
MERGED = "merged-"
DAY = r"\d{4}-\d{2}-\d{2}"
STANDS_FOR = b"medloop.stands_for"
"""Key of a merged file's metadata: the names of the files it stands for, as JSON."""


def columns(classes: Iterable[str]) -> pa.Schema:
    """The columns of a file for a model's classes."""
    return pa.schema(
        [
            ("request_id", pa.string()),
            ("time", pa.timestamp("ms", tz="UTC")),
            ("model_version", pa.int64()),
            ("run_id", pa.string()),
            ("predicted", pa.string()),
            ("abstained", pa.bool_()),
            *((PROBABILITY + name, pa.float32()) for name in classes),
            ("features", pa.list_(pa.float32())),
            ("mean", pa.float32()),
            ("std", pa.float32()),
            ("width", pa.int32()),
            ("height", pa.int32()),
            ("sha256", pa.string()),
        ]
    )


def served_folder(dataset: str, day: date) -> str:
    """Where a day's samples stand in the store."""
    return f"{dataset}/served/{day.isoformat()}"


def write_file(store: Store, samples: list[Sample]) -> str:
    """Write samples of one model and day as one file; returns its path.

    Raises:
        Unavailable: the store does not answer; nothing is to be seen of the file then.
    """
    first = samples[0]
    buffer = io.BytesIO()
    # hardly a value comes twice: looking for those that do took seven times as long
    pq.write_table(_table(samples), buffer, compression="zstd", use_dictionary=False)
    folder = served_folder(first.model.dataset, first.time.date())
    path = f"{folder}/{first.time:%H%M%S}-{secrets.token_hex(4)}.parquet"
    store.place(path, buffer.getvalue())
    return path


def days(store: Store, dataset: str) -> list[date]:
    """The days that have samples, in order; a folder of another name is not ours."""
    names = store.names(f"{dataset}/served")
    return sorted(date.fromisoformat(name) for name in names if re.fullmatch(DAY, name))


def files_of(store: Store, dataset: str, day: date) -> list[str]:
    """Names of a day's files as they were written, in the order of their first answers; those
    that were merged since are not among them, unless they have yet to be deleted."""
    return [name for name in _parquet(store, dataset, day) if not name.startswith(MERGED)]


def merged_files(store: Store, dataset: str, day: date) -> list[str]:
    """Names of a day's merged files."""
    return [name for name in _parquet(store, dataset, day) if name.startswith(MERGED)]


def _parquet(store: Store, dataset: str, day: date) -> list[str]:
    names = store.names(served_folder(dataset, day))
    return [name for name in names if name.endswith(".parquet")]


def read_file(store: Store, path: str) -> pa.Table:
    """The samples of one file; columns that an older file lacks are null.

    Raises:
        NotFound: there is no such file (any more).
    """
    table = pq.read_table(io.BytesIO(store.read(path)))
    whole = pa.concat_tables([columns(()).empty_table(), table], promote_options="default")
    return whole.replace_schema_metadata(table.schema.metadata)


def read_intact_file(store: Store, path: str) -> pa.Table | None:
    """Like `read_file`; ``None``, and a line in the log, for a file that is not whole.

    One damaged file must not end the watch over a data set. It is left where it is.
    """
    try:
        return read_file(store, path)
    except pa.ArrowException as error:
        logger.error("%s cannot be read and is left out: %s", path, error)
        return None


def stands_for(table: pa.Table) -> set[str]:
    """Names of the files that a merged file stands for."""
    metadata = table.schema.metadata or {}
    return set(json.loads(metadata.get(STANDS_FOR, b"[]")))


def _table(samples: list[Sample]) -> pa.Table:
    """Samples of one model by columns, whole arrays at once: requests are answered meanwhile."""
    model = samples[0].model
    shares = np.stack([sample.probabilities for sample in samples])
    values = {
        "request_id": [sample.request_id for sample in samples],
        "time": [sample.time for sample in samples],
        "model_version": [model.version] * len(samples),
        "run_id": [model.run_id] * len(samples),
        "predicted": [sample.predicted for sample in samples],
        "abstained": [sample.abstained for sample in samples],
        **{PROBABILITY + name: shares[:, i] for i, name in enumerate(model.classes)},
        "features": _lists(np.stack([sample.features for sample in samples])),
        "mean": [sample.mean for sample in samples],
        "std": [sample.std for sample in samples],
        "width": [sample.width for sample in samples],
        "height": [sample.height for sample in samples],
        "sha256": [sample.sha256 for sample in samples],
    }
    return pa.table(values, schema=columns(model.classes))


def _lists(rows: NDArray[np.float32]) -> pa.ListArray:
    ends = np.arange(len(rows) + 1, dtype=np.int32) * rows.shape[1]
    return pa.ListArray.from_arrays(pa.array(ends), pa.array(rows.ravel()))

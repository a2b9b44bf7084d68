"""Parquet files of rows that the data stages keep in the store: their columns, reading, writing."""

import io
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from pipelines.storage import Store

LANDED = pa.schema(
    [
        ("source_path", pa.string()),
        ("label", pa.string()),
        ("landing_label", pa.string()),
        ("declared_split", pa.string()),
        ("group", pa.string()),
        ("metadata", pa.string()),
        ("sha256", pa.string()),
        ("bytes", pa.int64()),
        ("format", pa.string()),
        ("width", pa.int32()),
        ("height", pa.int32()),
        ("mode", pa.string()),
        ("bits", pa.int32()),
        ("notes", pa.list_(pa.string())),
        ("mean", pa.float64()),
        ("std", pa.float64()),
        ("facts", pa.string()),
        ("reason", pa.string()),
        ("message", pa.string()),
    ]
)
"""``files.parquet`` of a landing; see `pipelines.outputs.Landing`."""

MASKED = pa.schema(
    [
        ("image", pa.string()),
        ("source_path", pa.string()),
        ("sha256", pa.string()),
        ("bytes", pa.int64()),
        ("format", pa.string()),
        ("width", pa.int32()),
        ("height", pa.int32()),
        ("reason", pa.string()),
        ("message", pa.string()),
    ]
)
"""``masks.parquet`` of a landing: the masks of accepted images, ``image`` being whose (its
sha256), with the reason why where one cannot be used."""


def parquet_of(table: pa.Table) -> bytes:
    """A table as a Parquet file: the same rows give the same bytes, however they are chunked."""
    buffer = io.BytesIO()
    pq.write_table(table.combine_chunks(), buffer, compression="zstd")
    return buffer.getvalue()


def write_rows(store: Store, path: str, rows: list[dict[str, Any]], *, schema: pa.Schema) -> None:
    """Write rows as one Parquet file; see `parquet_of`."""
    store.write(path, parquet_of(pa.Table.from_pylist(rows, schema=schema)))


def read_table(store: Store, path: str) -> pa.Table:
    """A Parquet file of the store as an Arrow table."""
    return pq.read_table(io.BytesIO(store.read(path)))


def read_rows(store: Store, path: str) -> list[dict[str, Any]]:
    """All rows of a Parquet file that `write_rows` wrote."""
    rows: list[dict[str, Any]] = read_table(store, path).to_pylist()
    return rows

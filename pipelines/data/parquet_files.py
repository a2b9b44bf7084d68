"""Reads and writes small Parquet files in the store."""

import io
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from pipelines.storage import Store


def parquet_of(table: pa.Table) -> bytes:
    """A table as a Parquet file; the same rows give the same bytes, whatever their chunks."""
    buffer = io.BytesIO()
    pq.write_table(table.combine_chunks(), buffer, compression="zstd")
    return buffer.getvalue()


def write_rows(store: Store, path: str, rows: list[dict[str, Any]], *, schema: pa.Schema) -> None:
    """Write rows as one Parquet file; see `parquet_of`."""
    store.write(path, parquet_of(pa.Table.from_pylist(rows, schema=schema)))


def read_table(store: Store, path: str) -> pa.Table:
    """The content of a Parquet file in the store."""
    return pq.read_table(io.BytesIO(store.read(path)))


def read_rows(store: Store, path: str) -> list[dict[str, Any]]:
    """All rows of a Parquet file, as dictionaries."""
    rows: list[dict[str, Any]] = read_table(store, path).to_pylist()
    return rows

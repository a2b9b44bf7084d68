"""Parquet files without some images: rows are left out, and in packs they are emptied.

A row is of an image if one of its texts, at any depth, is one of the image's hashes; where a row
has no hash, its source path decides. Rows of a pack are addressed by their number, so a row stays
where it is and holds nothing. Everything else about a file (row groups, compression, metadata)
stays as it was.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

if TYPE_CHECKING:
    from pipelines.erasure.traces import Traces

CONTENT = "content"
"""The column that makes a file a pack of originals."""
CLUSTERS = ("group", "cluster")
"""Columns that name a cluster, by a part of the least hash in it."""
Rename = Callable[[str], str]


@dataclass(frozen=True)
class Held:
    """What a file holds of the images."""

    rows: int
    names: int
    """Rows of other images whose cluster is named by the hash of one of these."""
    is_pack: bool

    def __bool__(self) -> bool:
        return bool(self.rows or self.names)


def held(parquet: pq.ParquetFile, traces: "Traces") -> Held:
    """What a file holds of the images; reads its texts only."""
    schema = parquet.schema_arrow
    texts = [column.name for column in schema if _has_text(column.type)]
    rows = names = 0
    for number in range(parquet.num_row_groups):
        group = parquet.read_row_group(number, columns=texts)
        found = _is_of(group, traces)
        rows += pc.sum(found).as_py() or 0
        others = group.filter(pc.invert(found))
        names += sum(
            pc.sum(_is_one(others, name, traces.clusters)).as_py() or 0 for name in _clusters(group)
        )
    return Held(rows, names, CONTENT in schema.names)


def rewrite(parquet: pq.ParquetFile, target: Path, traces: "Traces", *, rename: Rename) -> int:
    """Write a file again without the images.

    Args:
        parquet: the file.
        target: where to.
        traces: by what the images are known.
        rename: the new name of a cluster that one of their hashes names.

    Returns:
        Its rows.
    """
    schema, is_pack, rows = parquet.schema_arrow, CONTENT in parquet.schema_arrow.names, 0
    with pq.ParquetWriter(target, schema, **_options(parquet)) as writer:
        for number in range(parquet.num_row_groups):
            group = parquet.read_row_group(number)
            found = _is_of(group, traces)
            kept = _emptied(group, found) if is_pack else group.filter(pc.invert(found))
            for name in _clusters(kept):
                kept = _renamed(kept, name, traces.clusters, rename)
            if kept.num_rows:
                writer.write_table(kept.cast(schema), row_group_size=kept.num_rows)
            rows += kept.num_rows
    return rows


def _is_of(table: pa.Table, traces: "Traces") -> pa.ChunkedArray:
    """(rows,) whether a row is of one of the images."""
    found = pa.chunked_array([pa.array([False] * table.num_rows, pa.bool_())])
    for column in table.schema:
        if _is_text(column.type):
            found = pc.or_(found, _is_one(table, column.name, traces.hashes))
        elif _has_text(column.type):
            inside = [_holds(value, traces.hashes) for value in table[column.name].to_pylist()]
            found = pc.or_(found, pa.chunked_array([pa.array(inside, pa.bool_())]))
    if "source_path" in table.schema.names:
        named = _is_one(table, "source_path", traces.paths)
        if "sha256" in table.schema.names:
            named = pc.and_(named, pc.is_null(table["sha256"]))
        found = pc.or_(found, named)
    return found


def _is_one(table: pa.Table, name: str, values: frozenset[str]) -> pa.ChunkedArray:
    column = table[name].cast(pa.string())
    return pc.is_in(column, value_set=pa.array(sorted(values), pa.string()))


def _holds(value: Any, hashes: frozenset[str]) -> bool:
    """Whether a text inside a nested value is one of ``hashes``."""
    if isinstance(value, str):
        return value in hashes
    if isinstance(value, dict):
        return any(_holds(one, hashes) for one in value.values())
    return isinstance(value, list | tuple) and any(_holds(one, hashes) for one in value)


def _emptied(table: pa.Table, found: pa.ChunkedArray) -> pa.Table:
    """The table with rows that hold nothing in the place of those found."""
    columns = [
        pc.if_else(found, pa.scalar(None, column.type), table[column.name])
        for column in table.schema
    ]
    return pa.table(columns, schema=table.schema)


def _clusters(table: pa.Table) -> list[str]:
    return [name for name in CLUSTERS if name in table.schema.names]


def _renamed(table: pa.Table, name: str, clusters: frozenset[str], rename: Rename) -> pa.Table:
    if not pc.any(_is_one(table, name, clusters)).as_py():
        return table
    values = [rename(one) if one in clusters else one for one in table[name].to_pylist()]
    at = table.schema.get_field_index(name)
    return table.set_column(
        at, table.schema.field(at), pa.array(values, table.schema.field(at).type)
    )


def _is_text(kind: pa.DataType) -> bool:
    if pa.types.is_dictionary(kind):
        return _is_text(kind.value_type)
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind))


def _has_text(kind: pa.DataType) -> bool:
    inside = [kind.field(number).type for number in range(kind.num_fields)]
    return _is_text(kind) or any(_has_text(one) for one in inside)


def _options(parquet: pq.ParquetFile) -> dict[str, Any]:
    """How a file was written: its columns' compression, dictionaries and statistics."""
    if not parquet.num_row_groups:
        return {}
    group = parquet.metadata.row_group(0)
    columns = [group.column(number) for number in range(group.num_columns)]
    compression = {column.path_in_schema: column.compression.lower() for column in columns}
    return {
        "compression": {
            name: "none" if how == "uncompressed" else how for name, how in compression.items()
        },
        "use_dictionary": [c.path_in_schema for c in columns if c.has_dictionary_page],
        "write_statistics": [c.path_in_schema for c in columns if c.is_stats_set],
    }

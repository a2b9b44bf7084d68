"""Row types of the tables of a data set; Arrow, Spark and the docs use their schema.

A row type is a frozen dataclass. Annotations have the type and the meaning of a column:

    sha256: Annotated[str, "of the original, hexadecimal"]
    width: Annotated[Int32 | None, "pixels"]

``| None`` makes a column nullable. Types: `str`, `bool`, `float`, `bytes`, `Int32`, `Int64`,
`datetime`, ``tuple[T, ...]`` (a list), ``dict[str, str]`` (a map) and other such dataclasses.
"""

import dataclasses
from collections.abc import Iterator, Sequence
from datetime import datetime
from types import NoneType, UnionType
from typing import Annotated, Any, ClassVar, TypeVar, get_args, get_origin, get_type_hints

import pyarrow as pa
from pydantic import TypeAdapter

Int32 = Annotated[int, pa.int32()]
Int64 = Annotated[int, pa.int64()]
Binary = bytes
PLAIN: dict[type, pa.DataType] = {
    str: pa.string(),
    bool: pa.bool_(),
    float: pa.float64(),
    bytes: pa.binary(),
    datetime: pa.timestamp("us", "UTC"),
}
SQL = {"int32": "int", "int64": "bigint", "bool": "boolean"}
"""Arrow type → Spark type, where the names differ."""


@dataclasses.dataclass(frozen=True)
class Row:
    """Base class of row types."""

    table: ClassVar[str]
    """Name of the table: its folder below ``<dataset>/tables/``."""


RowT = TypeVar("RowT", bound=Row)


@dataclasses.dataclass(frozen=True)
class Original(Row):
    """Properties of the bytes of an image; never changes."""

    table: ClassVar[str] = "originals"

    facts: Annotated[str, "key of this row: fingerprint of ``sha256`` and what was found in it"]
    sha256: Annotated[str, "of the original (metadata removed), hexadecimal"]
    pack: Annotated[str, "store path of the Parquet file that holds the bytes"]
    row: Annotated[Int32, "row in the pack, from 0"]
    bytes: Annotated[Int64, "size of the original"]
    format: Annotated[str | None, "``JPEG``, ``PNG``, ``DICOM`` …"]
    width: Annotated[Int32 | None, "pixels"]
    height: Annotated[Int32 | None, "pixels"]
    mode: Annotated[str | None, "``L``, ``RGB`` …"]
    bits: Annotated[Int32 | None, "bits of a grey level"]
    notes: Annotated[tuple[str, ...] | None, "remarks of the decoder"]
    mean: Annotated[float | None, "mean grey level, 0 to 255"]
    std: Annotated[float | None, "standard deviation of the grey level"]
    traces: Annotated[tuple[float, ...] | None, "acquisition fingerprint"]
    thumbnail: Annotated[Binary | None, "32 x 32 grey levels, row by row"]


@dataclasses.dataclass(frozen=True)
class File:
    """A landed file, with its label and metadata."""

    source_path: Annotated[str, "below the landing folder, or its pseudonym"]
    label: Annotated[str | None, "class"]
    landing_label: Annotated[str | None, "class as it was named"]
    declared_split: Annotated[str | None, "split folder that the file came in"]
    patient: Annotated[str | None, "pseudonym of the patient or lesion"]
    landed_sha256: Annotated[str | None, "of the file as it landed, if metadata was removed"]
    metadata: Annotated[dict[str, str], "other columns of the label table"]


@dataclasses.dataclass(frozen=True)
class Mask:
    """The mask of an image's lesions."""

    sha256: Annotated[str, "of the mask's file"]
    source_path: Annotated[str, "below the landing folder"]
    pack: Annotated[str, "store path of the Parquet file that holds the bytes"]
    row: Annotated[Int32, "row in the pack, from 0"]
    bytes: Annotated[Int64, "size of the file"]
    format: Annotated[str | None, "as of an original"]
    width: Annotated[Int32, "pixels"]
    height: Annotated[Int32, "pixels"]


@dataclasses.dataclass(frozen=True)
class Image(Row):
    """Label and files of an image; a change appends a row, and the newest one counts."""

    table: ClassVar[str] = "images"

    sha256: Annotated[str, "of the original"]
    revision: Annotated[Int32, "number of the snapshot that made this row, from 1"]
    first_revision: Annotated[Int32, "number of the snapshot that added the image"]
    facts: Annotated[str, "key of the row in ``originals``"]
    files: Annotated[tuple[File, ...], "files with these bytes, by path"]
    copies: Annotated[Int32, "number of ``files``; 0 where the image is no longer used"]
    label: Annotated[str | None, "class; null where ``files`` disagree"]
    mask: Annotated[Mask | None, "of its lesions"]
    landing: Annotated[str, "ID of the landing that made this row"]
    arrived: Annotated[datetime, "when this row was made, UTC"]


@dataclasses.dataclass(frozen=True)
class Refused(Row):
    """A landed file that cannot be used."""

    table: ClassVar[str] = "quarantine"

    landing: Annotated[str, "ID of the landing that refused it first"]
    source_path: Annotated[str, "below the landing folder, or its pseudonym"]
    reason: Annotated[str, "one word"]
    message: Annotated[str | None, "what is wrong, and what to do"]
    landing_label: Annotated[str | None, "class as it was named"]
    patient: Annotated[str | None, "pseudonym of the patient or lesion"]
    bytes: Annotated[Int64 | None, "size of the original, or of the file"]
    sha256: Annotated[str | None, "of the original, where there is one"]
    pack: Annotated[str | None, "store path of the Parquet file with the bytes, if it decoded"]
    row: Annotated[Int32 | None, "row in the pack, from 0"]
    arrived: Annotated[datetime, "when this row was made, UTC"]


@dataclasses.dataclass(frozen=True)
class Member(Row):
    """The split of a file; a change appends a row, and the newest one counts."""

    table: ClassVar[str] = "splits"

    sha256: Annotated[str, "of the original"]
    source_path: Annotated[str, "of the file, as in ``files``"]
    revision: Annotated[Int32, "number of the split that made this row, from 1"]
    label: Annotated[str | None, "class"]
    cluster: Annotated[str | None, "images that stay together: digits of the least sha256 of them"]
    source: Annotated[Int32 | None, "acquisition source, 1 the largest; 0 where unknown"]
    split: Annotated[str | None, "``train``, ``validation``, ``test``, or null"]
    excluded: Annotated[str | None, "why ``split`` is null; ``gone``: no longer in the data set"]
    first_test: Annotated[Int32 | None, "number of the first split with the image in its test set"]
    first_training: Annotated[Int32 | None, "the same of training or validation"]


def schema_of(row: type) -> pa.Schema:
    """The Arrow schema of a row type."""
    return pa.schema(_fields(row))


def ddl_of(row: type, columns: Sequence[str] | None = None) -> str:
    """The Spark DDL of all or some columns: ``sha256 string NOT NULL, width int``."""
    schema = schema_of(row)
    return ", ".join(
        f"`{field.name}` {_sql(field.type)}{'' if field.nullable else ' NOT NULL'}"
        for field in map(schema.field, columns or schema.names)
    )


def table_of(rows: Sequence[RowT], row: type[RowT]) -> pa.Table:
    """Rows as an Arrow table."""
    return pa.Table.from_pylist([_as_dictionary(one) for one in rows], schema=schema_of(row))


def _as_dictionary(value: Any) -> Any:
    """A row as nested dictionaries; `dataclasses.asdict` copies every value and takes four times as
    long."""
    if isinstance(value, tuple) and value and dataclasses.is_dataclass(value[0]):
        return [_as_dictionary(one) for one in value]
    if dataclasses.is_dataclass(value):
        return {name: _as_dictionary(one) for name, one in vars(value).items()}
    return value


def rows_of(table: pa.Table, row: type[RowT]) -> Iterator[RowT]:
    """The rows of an Arrow table with all columns, converted batch by batch."""
    made = TypeAdapter(row)
    for batch in table.to_batches(max_chunksize=4096):
        for values in batch.to_pylist(maps_as_pydicts="strict"):
            yield made.validate_python(values)


def _fields(row: type) -> list[pa.Field]:
    hints = get_type_hints(row, include_extras=True)
    return [_field(field.name, hints[field.name]) for field in dataclasses.fields(row)]


def _field(name: str, hint: Any) -> pa.Field:
    kind, *said = get_args(hint) if get_origin(hint) is Annotated else (hint,)
    nullable = get_origin(kind) is UnionType or NoneType in get_args(kind)
    if nullable:
        (kind,) = (part for part in get_args(kind) if part is not NoneType)
    arrow = next((part for part in said if isinstance(part, pa.DataType)), None)
    meaning = next((part for part in said if isinstance(part, str)), "")
    field = pa.field(name, arrow or _arrow(kind), nullable=nullable)
    return field.with_metadata({"comment": meaning}) if meaning else field


def _arrow(kind: Any) -> pa.DataType:
    """The Arrow type of an annotation without ``| None``."""
    if get_origin(kind) is Annotated:
        return _field("", kind).type
    if dataclasses.is_dataclass(kind):
        return pa.struct([field.remove_metadata() for field in _fields(kind)])  # type: ignore[arg-type]
    if get_origin(kind) is tuple:
        return pa.list_(_arrow(get_args(kind)[0]))
    if get_origin(kind) is dict:
        return pa.map_(*map(_arrow, get_args(kind)))
    return PLAIN[kind]


def _sql(kind: pa.DataType) -> str:
    """The name of a type in Spark SQL."""
    if pa.types.is_struct(kind):
        return f"struct<{', '.join(f'{field.name}: {_sql(field.type)}' for field in kind)}>"
    if pa.types.is_list(kind):
        return f"array<{_sql(kind.value_type)}>"
    if pa.types.is_map(kind):
        return f"map<{_sql(kind.key_type)}, {_sql(kind.item_type)}>"
    return "timestamp" if pa.types.is_timestamp(kind) else SQL.get(str(kind), str(kind))

"""A CSV file of labels beside the images: what it promises of which file."""

import csv
import io
from collections.abc import Iterable
from dataclasses import dataclass, replace
from string import Formatter

from pipelines.data.sources import Source
from pipelines.errors import LandingError
from pipelines.spec import TableSpec


@dataclass(frozen=True)
class Promise:
    """What one row of the table says."""

    path: str
    line: int
    label: str
    group: str | None
    metadata: dict[str, str]
    conflict: str | None = None
    """Why the row cannot be believed: another row says otherwise of the same file."""


def read_promises(table: TableSpec, source: Source) -> dict[str, Promise]:
    """Image path (relative to the landing folder) → what the table says of it.

    Raises:
        LandingError: the table is missing, is no UTF-8 CSV, or lacks a column the spec names.
        BadImage: the table cannot be read.
        StoreUnavailable: HDFS, where it stands, does not answer.
    """
    place = f"{source.place}/{table.file}"
    if source.state(table.file) is None:
        raise LandingError(
            f"There is no {place}, the table of labels that landing.table.file names."
        )
    try:
        text = io.StringIO(source.read(table.file).decode("utf-8-sig"), newline="")
        reader = csv.DictReader(text, strict=True)
        _require_columns(table, place, reader.fieldnames or ())
        return _by_path(_promise(table, reader.line_num, row) for row in reader)
    except (csv.Error, UnicodeDecodeError) as error:
        raise LandingError(f"{place} is not a CSV file in UTF-8: {error}.") from error


def _require_columns(table: TableSpec, place: str, columns: Iterable[str]) -> None:
    in_template = {name for _, name, _, _ in Formatter().parse(table.image) if name}
    wanted = in_template | {table.label, *table.metadata} | ({table.group} - {None})
    absent = sorted(str(name) for name in wanted - set(columns))
    if absent:
        raise LandingError(
            f"{place} has no column {', '.join(map(repr, absent))}, which landing.table names; "
            f"its columns are {', '.join(map(repr, columns)) or 'none'}."
        )


def _promise(table: TableSpec, line: int, row: dict[str, str]) -> Promise:
    cells = {column: (value or "").strip() for column, value in row.items() if column is not None}
    return Promise(
        path=table.image.format_map(cells),
        line=line,
        label=cells[table.label],
        group=cells[table.group] or None if table.group else None,
        metadata={column: cells[column] for column in table.metadata if cells[column]},
    )


def _by_path(promises: Iterable[Promise]) -> dict[str, Promise]:
    kept: dict[str, Promise] = {}
    for promise in promises:
        earlier = kept.setdefault(promise.path, promise)
        if earlier.label != promise.label:
            conflict = (
                f"Line {earlier.line} of the table says {earlier.label!r}, "
                f"line {promise.line} says {promise.label!r}."
            )
            kept[promise.path] = replace(earlier, conflict=conflict)
    return kept

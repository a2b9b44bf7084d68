"""A CSV file of labels beside the images: what it says of which file."""

import csv
import io
from collections.abc import Iterable
from dataclasses import dataclass, replace
from string import Formatter

from pipelines.data.folders import Source
from pipelines.errors import BadImage, LandingError
from pipelines.spec import TableSpec
from pipelines.spelling import nfc


@dataclass(frozen=True)
class Promise:
    """What one row of the table says."""

    paths: tuple[str, ...]
    """Where its image may be, relative to the landing folder, in NFC; the first that is there."""
    line: int
    label: str
    group: str | None
    metadata: dict[str, str]
    conflict: str | None = None
    """Why the row cannot be believed: another row says otherwise of the same file."""


def read_promises(table: TableSpec, source: Source, path: str, *, root: str = "") -> list[Promise]:
    """What the table says, one promise for each image that it names.

    Args:
        table: its columns, and where images are.
        source: the landing folder.
        path: of the CSV in it.
        root: prefix of the paths of images (``archive/``).

    Raises:
        LandingError: the table cannot be read, is not CSV in UTF-8, or lacks a column the spec
            names.
        StoreUnavailable: HDFS, where it is, does not answer.
    """
    place = f"{source.place}/{path}"
    try:
        text = io.StringIO(source.read(path).decode("utf-8-sig"), newline="")
        reader = csv.DictReader(text, strict=True)
        reader.fieldnames = [nfc(name) for name in reader.fieldnames or ()]
        _require_columns(table, place, reader.fieldnames)
        return _merged(_promise(table, root, reader.line_num, row) for row in reader)
    except BadImage as error:
        raise LandingError(f"{place}, the table of labels, cannot be read: {error}") from error
    except (csv.Error, UnicodeDecodeError) as error:
        raise LandingError(f"{place} is not a CSV file in UTF-8: {error}.") from error


def _require_columns(table: TableSpec, place: str, columns: Iterable[str]) -> None:
    in_template = {
        name for image in table.images for _, name, _, _ in Formatter().parse(image) if name
    }
    wanted = in_template | {table.label, *table.metadata} | ({table.group} - {None})
    absent = sorted(str(name) for name in wanted - set(columns))
    if absent:
        raise LandingError(
            f"{place} has no column {', '.join(map(repr, absent))}, which landing.table names; "
            f"its columns are {', '.join(map(repr, columns)) or 'none'}."
        )


def _promise(table: TableSpec, root: str, line: int, row: dict[str, str]) -> Promise:
    cells = {
        column: nfc((value or "").strip()) for column, value in row.items() if column is not None
    }
    return Promise(
        paths=tuple(nfc(root) + image.format_map(cells) for image in table.images),
        line=line,
        label=cells[table.label],
        group=cells[table.group] or None if table.group else None,
        metadata={column: cells[column] for column in table.metadata if cells[column]},
    )


def _merged(promises: Iterable[Promise]) -> list[Promise]:
    """One promise an image; rows that contradict each other are one with a conflict."""
    kept: dict[tuple[str, ...], Promise] = {}
    for promise in promises:
        earlier = kept.setdefault(promise.paths, promise)
        if earlier.label != promise.label:
            conflict = (
                f"Line {earlier.line} of the table says {earlier.label!r}, "
                f"line {promise.line} says {promise.label!r}."
            )
            kept[promise.paths] = replace(earlier, conflict=conflict)
    return list(kept.values())

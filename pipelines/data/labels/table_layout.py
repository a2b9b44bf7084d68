"""A landing folder with a label table: a CSV file with a row for each image."""

import csv
import io
import re
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from string import Formatter

from pipelines.data.folders import LandingFolder
from pipelines.data.labels.entry import Entry, FileNames, unlabelled
from pipelines.data.land.originals import named_as_image, printable
from pipelines.errors import BadImage, LandingError
from pipelines.spec import DatasetSpec, TableSpec
from pipelines.spelling import nfc


@dataclass(frozen=True)
class LabelRow:
    """A row of the label table."""

    paths: tuple[str, ...]
    """Possible paths of its image, relative to the landing folder, in NFC; the first that exists
    counts."""
    line: int
    label: str
    group: str | None
    metadata: dict[str, str]
    conflict: str | None = None
    """The message if another row has a different label for the same file."""


def read_label_table(
    table: TableSpec, folder: LandingFolder, path: str, *, root: str = ""
) -> list[LabelRow]:
    """The rows of the table, one for each image.

    Args:
        table: names the columns, and the paths of images.
        folder: the landing folder.
        path: of the CSV file in it.
        root: prefix of the paths of images (``archive/``).

    Raises:
        LandingError: the table cannot be read, is not CSV in UTF-8, or lacks a column the spec
            names.
        StoreUnavailable: HDFS or the bucket does not answer.
    """
    location = f"{folder.location}/{path}"
    try:
        text = io.StringIO(folder.read(path).decode("utf-8-sig"), newline="")
        reader = csv.DictReader(text, strict=True)
        reader.fieldnames = [nfc(name) for name in reader.fieldnames or ()]
        _require_columns(table, location, reader.fieldnames)
        return _merged(_label_row(table, root, reader.line_num, row) for row in reader)
    except BadImage as error:
        raise LandingError(f"{location}, the label table, cannot be read: {error}") from error
    except (csv.Error, UnicodeDecodeError) as error:
        raise LandingError(f"{location} is not a CSV file in UTF-8: {error}.") from error


def _require_columns(table: TableSpec, location: str, columns: Iterable[str]) -> None:
    in_template = {
        name for image in table.images for _, name, _, _ in Formatter().parse(image) if name
    }
    wanted = in_template | {table.label, *table.metadata} | ({table.group} - {None})
    missing = sorted(str(name) for name in wanted - set(columns))
    if missing:
        raise LandingError(
            f"{location} has no column {', '.join(map(repr, missing))}, which landing.table names; "
            f"its columns are {', '.join(map(repr, columns)) or 'none'}."
        )


def _label_row(table: TableSpec, root: str, line: int, row: dict[str, str]) -> LabelRow:
    cells = {
        column: nfc((value or "").strip()) for column, value in row.items() if column is not None
    }
    return LabelRow(
        paths=tuple(nfc(root) + image.format_map(cells) for image in table.images),
        line=line,
        label=cells[table.label],
        group=cells[table.group] or None if table.group else None,
        metadata={column: cells[column] for column in table.metadata if cells[column]},
    )


def _merged(rows: Iterable[LabelRow]) -> list[LabelRow]:
    """One row for each image; rows with different labels become one row with a conflict."""
    kept: dict[tuple[str, ...], LabelRow] = {}
    for row in rows:
        earlier = kept.setdefault(row.paths, row)
        if earlier.label != row.label:
            conflict = (
                f"Line {earlier.line} of the table says {earlier.label!r}, "
                f"line {row.line} says {row.label!r}."
            )
            kept[row.paths] = replace(earlier, conflict=conflict)
    return list(kept.values())


EXAMPLES = 3


def from_table(
    spec: DatasetSpec, table: TableSpec, folder: LandingFolder, paths: Iterable[str]
) -> list[Entry]:
    """An entry for each file except the table, and for each row without a file.

    Raises:
        LandingError: the table does not exist or cannot be read, or none of its rows names an
            existing file.
    """
    found = list(paths)
    path, root = _find_table(table, folder, found)
    images = {nfc(image): image for image in found if image != path}
    rows = read_label_table(table, folder, path, root=root)
    of_image: dict[str, LabelRow] = {}
    missing = []
    for row in rows:
        image = next((name for name in row.paths if name in images), None)
        if image is None:
            missing.append(row)
        else:
            of_image[images[image]] = row
    if rows and not of_image:
        raise LandingError(_no_match(table, f"{folder.location}/{path}", rows, images))
    names = FileNames(spec.landing)
    entries = [
        _entry(spec, image, of_image.get(image), names, table=path)
        for image in found
        if image != path
    ]
    near = Counter(nfc(image).casefold() for image in images)
    return entries + [_without_file(path, row, near) for row in missing]


def _find_table(table: TableSpec, folder: LandingFolder, paths: list[str]) -> tuple[str, str]:
    """The path of the table, and the folder around all files that the spec does not name
    (``archive/``)."""
    by_name = {nfc(path): path for path in paths}
    for name in table.files:
        if name in by_name:
            return by_name[name], ""
    tops = {path.partition("/")[0] for path in paths}
    for name in table.files:
        inside = [path for path in by_name if path.endswith(f"/{name}")]
        if len(tops) == len(inside) == 1:
            return by_name[inside[0]], inside[0].removesuffix(name)
    raise LandingError(
        f"There is no {' or '.join(f'{folder.location}/{name}' for name in table.files)}, the "
        "label table that landing.table.file names."
    )


def _entry(
    spec: DatasetSpec, path: str, row: LabelRow | None, names: FileNames, *, table: str
) -> Entry:
    if row is None:
        unlisted = f"{table} has no row for this file."
        return Entry(relative=path, reason="unlabelled", message=unlisted)
    name = path.rpartition("/")[2]
    known = None if row.conflict else spec.class_of_label.get(row.label)
    reason, message = _complaint(spec, row, known)
    return Entry(
        relative=path,
        landing_label=row.label,
        label=known,
        group=row.group or names.group(name),
        metadata=names.metadata(name) | row.metadata,
        reason=reason,
        message=message,
    )


def _complaint(
    spec: DatasetSpec, row: LabelRow, label: str | None
) -> tuple[str | None, str | None]:
    """Reason and message if the label of a row cannot be used."""
    if row.conflict:
        return "ambiguous_label", row.conflict
    return (None, None) if label else ("unlabelled", unlabelled(spec, row.label))


def _without_file(table: str, row: LabelRow, near: Counter[str]) -> Entry:
    message = f"Line {row.line} of {table} names this file, which does not exist."
    if any(near[path.casefold()] for path in row.paths):
        message += " A file exists whose name differs in case only; names are case-sensitive."
    return Entry(
        relative=row.paths[0],
        landing_label=row.label,
        group=row.group,
        metadata=row.metadata,
        reason="missing_file",
        message=message,
    )


def _no_match(table: TableSpec, location: str, rows: list[LabelRow], images: dict[str, str]) -> str:
    """The message if no row of a table has a file: how rows and files differ."""
    named = [path for row in rows for path in row.paths]
    return (
        f"None of the {len(rows):,} rows of {location} names an existing file. The rows name "
        f"{_examples(named)}; the folder has {_examples(images)}. {_difference(named, images)} "
        f"Correct landing.table.image in the spec (now {' or '.join(table.images)}) or the names."
    )


def _examples(paths: Iterable[str]) -> str:
    """The first names of plain images; other names may be those of patients."""
    found = list(paths)
    shown = [repr(printable(path)) for path in found if named_as_image(path)][:EXAMPLES]
    if not shown:
        return f"{len(found):,} files that are not named like images" if found else "no files"
    return ", ".join(shown) + (" …" if len(found) > len(shown) else "")


def _difference(named: list[str], images: Iterable[str]) -> str:
    """The most likely difference between the names in rows and the files."""
    existing = list(images)
    for sentence, reduced in DIFFERENCES.items():
        if {reduced(path) for path in named} & {reduced(path) for path in existing}:
            return sentence
    return "The names differ even without folders and file extensions."


def _without_suffix(path: str) -> str:
    return re.sub(r"\.\w+$", "", path)


def _file_name(path: str) -> str:
    return path.rpartition("/")[2]


def _stem(path: str) -> str:
    return _without_suffix(_file_name(path))


DIFFERENCES: dict[str, Callable[[str], str]] = {
    "The names differ only in case; names are case-sensitive.": str.casefold,
    "The files are in another folder than in the rows.": _file_name,
    "The files have another extension (.jpg, .png) than in the rows.": _without_suffix,
    "The files are in another folder, and have another extension.": _stem,
}
"""Message → a function that removes that difference from a path."""

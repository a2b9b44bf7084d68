"""A landing folder with a table of labels: each file with its row, each row with its file."""

import csv
import io
import re
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from string import Formatter

from pipelines.data.folders import Source
from pipelines.data.labels.entry import Entry, FileNames, unlabelled
from pipelines.data.land.originals import named_as_image, printable
from pipelines.errors import BadImage, LandingError
from pipelines.spec import DatasetSpec, TableSpec
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


EXAMPLES = 3


def from_table(
    spec: DatasetSpec, table: TableSpec, source: Source, paths: Iterable[str]
) -> list[Entry]:
    """An entry for each file but the table, and for each row whose file is not there.

    Raises:
        LandingError: there is no table, it cannot be read, or none of its rows names a file that
            is there.
    """
    found = list(paths)
    path, root = _place(table, source, found)
    images = {nfc(image): image for image in found if image != path}
    promises = read_promises(table, source, path, root=root)
    of_image: dict[str, Promise] = {}
    missing = []
    for promise in promises:
        place = next((place for place in promise.paths if place in images), None)
        if place is None:
            missing.append(promise)
        else:
            of_image[images[place]] = promise
    if promises and not of_image:
        raise LandingError(_no_match(table, f"{source.place}/{path}", promises, images))
    names = FileNames(spec.landing)
    entries = [
        _entry(spec, image, of_image.get(image), names, table=path)
        for image in found
        if image != path
    ]
    near = Counter(nfc(image).casefold() for image in images)
    return entries + [_without_file(path, promise, near) for promise in missing]


def _place(table: TableSpec, source: Source, paths: list[str]) -> tuple[str, str]:
    """The table's path, and the folder above it that the spec does not name (``archive/``): what a
    download was unpacked into."""
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
        f"There is no {' or '.join(f'{source.place}/{name}' for name in table.files)}, the table "
        "of labels that landing.table.file names."
    )


def _entry(
    spec: DatasetSpec, path: str, promise: Promise | None, names: FileNames, *, table: str
) -> Entry:
    if promise is None:
        unlisted = f"{table} has no row for this file."
        return Entry(relative=path, reason="unlabelled", message=unlisted)
    name = path.rpartition("/")[2]
    known = None if promise.conflict else spec.class_of_label.get(promise.label)
    reason, message = _complaint(spec, promise, known)
    return Entry(
        relative=path,
        landing_label=promise.label,
        label=known,
        group=promise.group or names.group(name),
        metadata=names.metadata(name) | promise.metadata,
        reason=reason,
        message=message,
    )


def _complaint(
    spec: DatasetSpec, promise: Promise, label: str | None
) -> tuple[str | None, str | None]:
    """Why a table's word cannot be used, as reason and message."""
    if promise.conflict:
        return "ambiguous_label", promise.conflict
    return (None, None) if label else ("unlabelled", unlabelled(spec, promise.label))


def _without_file(table: str, promise: Promise, near: Counter[str]) -> Entry:
    message = f"Line {promise.line} of {table} names this file, which is not there."
    if any(near[path.casefold()] for path in promise.paths):
        message += " A file is there whose name differs in capital letters only, and they count."
    return Entry(
        relative=promise.paths[0],
        landing_label=promise.label,
        group=promise.group,
        metadata=promise.metadata,
        reason="missing_file",
        message=message,
    )


def _no_match(table: TableSpec, place: str, promises: list[Promise], images: dict[str, str]) -> str:
    """Why no row of a table finds its file, as far as names tell."""
    named = [path for promise in promises for path in promise.paths]
    return (
        f"None of the {len(promises):,} rows of {place} names a file that is there. The rows name "
        f"{_examples(named)}; the folder holds {_examples(images)}. {_difference(named, images)} "
        f"Correct landing.table.image in the spec (now {' or '.join(table.images)}) or the names."
    )


def _examples(paths: Iterable[str]) -> str:
    """The first few names; only of what is named like a plain image: others may name a patient."""
    found = list(paths)
    shown = [repr(printable(path)) for path in found if named_as_image(path)][:EXAMPLES]
    if not shown:
        return f"{len(found):,} files that are not named like images" if found else "no files"
    return ", ".join(shown) + (" …" if len(found) > len(shown) else "")


def _difference(named: list[str], images: Iterable[str]) -> str:
    """What most likely keeps names and files apart."""
    there = list(images)
    for sentence, reduced in DIFFERENCES.items():
        if {reduced(path) for path in named} & {reduced(path) for path in there}:
            return sentence
    return "Not even the names without folder and ending agree."


def _without_suffix(path: str) -> str:
    return re.sub(r"\.\w+$", "", path)


def _file_name(path: str) -> str:
    return path.rpartition("/")[2]


def _stem(path: str) -> str:
    return _without_suffix(_file_name(path))


DIFFERENCES: dict[str, Callable[[str], str]] = {
    "The names differ only in capital letters, and they count.": str.casefold,
    "The files are in another folder than the rows say.": _file_name,
    "The files end otherwise (.jpg, .png) than the rows say.": _without_suffix,
    "The files are in another folder, and end otherwise.": _stem,
}
"""What a person got wrong → what is left of a path without it."""

"""A landing folder with a table of labels: each file with its row, each row with its file."""

import re
from collections import Counter
from collections.abc import Callable, Iterable

from pipelines.data.folders import Source
from pipelines.data.labels.entry import Entry
from pipelines.data.labels.file_names import FileNames
from pipelines.data.labels.label_table import Promise, read_promises
from pipelines.data.labels.labels import unlabelled
from pipelines.data.land.originals import named_as_image, printable
from pipelines.errors import LandingError
from pipelines.spec import DatasetSpec, TableSpec
from pipelines.spelling import nfc

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

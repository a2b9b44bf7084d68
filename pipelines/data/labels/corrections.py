"""Labels that a person has corrected: ``corrections.csv`` at the top of a landing folder.

    source_path,label,why
    Testing/notumor/Te-no_0114.jpg,meningioma,"plain mass at the falx, seen by two readers"

A DICOM file may be named by its path in the folder or by its pseudonym, the only name by which it
is known after landing (``glioma/3f2a….dcm``).

So what is found by review (`pipelines.evidence.labels` lists it) comes back by the way that images
come: the next landing says the new label, the snapshot after it holds it, and the old label and the
reason stay with the image as metadata. Originals and folders are left as they are.
"""

import csv
import io
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import NamedTuple

from pipelines import spreadsheet
from pipelines.data.folders import Source
from pipelines.data.labels.entry import Entry
from pipelines.errors import BadImage, LandingError
from pipelines.spec import DatasetSpec
from pipelines.spelling import nfc

FILE = "corrections.csv"
COLUMNS = ("source_path", "label", "why")
CORRECTED_FROM, CORRECTED_WHY = "corrected_from", "corrected_why"
"""Fields of an image's metadata."""
OF_LABELS = ("unlabelled", "ambiguous_label")
"""Reasons for which a file is refused and that a correction does away with."""


class Correction(NamedTuple):
    """A row of the file."""

    line: int
    label: str
    """The class."""
    why: str


def read_corrections(spec: DatasetSpec, source: Source) -> dict[str, Correction]:
    """Path → correction; empty where there is no such file.

    Raises:
        LandingError: the file is no CSV, lacks a column, says two things of one image, or names
            what is no class.
        StoreUnavailable: HDFS, where it stands, does not answer.
    """
    if source.state(FILE) is None:
        return {}
    place = f"{source.place}/{FILE}"
    try:
        text = source.read(FILE).decode("utf-8-sig")
        reader = csv.DictReader(io.StringIO(text, newline=""), strict=True)
        _require_columns(place, reader.fieldnames or ())
        found: dict[str, Correction] = {}
        for row in reader:
            path, correction = _correction(spec, place, reader.line_num, row)
            _require_new(place, path, correction, found)
            found[path] = correction
    except BadImage as error:
        raise LandingError(f"{place} cannot be read: {error}") from error
    except (csv.Error, UnicodeDecodeError) as error:
        raise LandingError(f"{place} is not a CSV file in UTF-8: {error}.") from error
    return found


def corrected(
    entries: list[Entry],
    corrections: dict[str, Correction],
    *,
    pseudonym: Callable[[str], str],
) -> list[Entry]:
    """Entries with the corrected labels.

    Args:
        entries: the files of the landing folder.
        corrections: what `read_corrections` found.
        pseudonym: path → the name by which a DICOM file at that path is stored.

    Returns:
        All entries; a correction of what is not there is an entry of its own, with that reason.

    Raises:
        LandingError: a file's path and its pseudonym are given two labels.
    """
    by_path = _by_path(entries, corrections, pseudonym=pseudonym)
    there = {entry.relative for entry in entries}
    absent = sorted(set(by_path) - there)
    return [
        *(_correct(entry, by_path.get(entry.relative)) for entry in entries),
        *(_without_file(path, by_path[path]) for path in absent),
    ]


def _by_path(
    entries: list[Entry],
    corrections: dict[str, Correction],
    *,
    pseudonym: Callable[[str], str],
) -> dict[str, Correction]:
    """The corrections by the paths of the files, those named by a pseudonym among them."""
    there = {nfc(entry.relative): entry.relative for entry in entries}
    found = {there[path]: one for path, one in corrections.items() if path in there}
    others = {path: one for path, one in corrections.items() if path not in there}
    if not others:
        return found
    relative = {pseudonym(path): path for path in there.values()}
    for name, correction in others.items():
        path = relative.get(name, name)
        _require_new(FILE, name, correction, {name: found[path]} if path in found else {})
        found[path] = correction
    return found


def _require_columns(place: str, columns: Sequence[str]) -> None:
    absent = [name for name in COLUMNS if name not in columns]
    if absent:
        raise LandingError(
            f"{place} has no column {', '.join(map(repr, absent))}; it needs {', '.join(COLUMNS)}."
        )


def _correction(
    spec: DatasetSpec, place: str, line: int, row: dict[str, str]
) -> tuple[str, Correction]:
    path, label, why = (nfc((row[column] or "").strip()) for column in COLUMNS)
    known = spec.class_of_label.get(label, label if label in spec.class_names else None)
    if not path or not why or known is None:
        raise LandingError(
            f"{place}, line {line}: expected the path of an image, one of "
            f"{', '.join(spec.class_names)}, and why; found {path!r}, {label!r}, {why!r}."
        )
    return spreadsheet.original(path), Correction(line, known, why)


def _require_new(
    place: str, path: str, correction: Correction, found: dict[str, Correction]
) -> None:
    earlier = found.get(path, correction)
    if earlier.label != correction.label:
        raise LandingError(
            f"{place}: line {earlier.line} says {earlier.label!r} of {path}, line "
            f"{correction.line} says {correction.label!r}. Keep one."
        )


def _correct(entry: Entry, correction: Correction | None) -> Entry:
    if correction is None or entry.label == correction.label:
        return entry
    # What is no class may be the name of a folder, and of a DICOM file that may be a patient's.
    before = entry.landing_label if entry.label else None
    said = {CORRECTED_FROM: entry.label or "no known label", CORRECTED_WHY: correction.why}
    known = replace(
        entry,
        label=correction.label,
        landing_label=before,
        metadata=entry.metadata | said,
    )
    if entry.reason not in OF_LABELS:
        return known
    return replace(known, reason=None, message=None)


def _without_file(path: str, correction: Correction) -> Entry:
    return Entry(
        relative=path,
        landing_label=correction.label,
        reason="missing_file",
        message=f"Line {correction.line} of {FILE} names this file, which is not there.",
    )

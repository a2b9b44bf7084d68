"""Corrected labels: ``corrections.csv`` at the top of a landing folder.

    source_path,label,why
    Testing/notumor/Te-no_0114.jpg,meningioma,"plain mass at the falx, seen by two readers"

A DICOM file is named by its path in the folder or by its pseudonym, its only name after landing
(``glioma/3f2a….dcm``).

`pipelines.evidence.labels` lists labels that are probably wrong. The next landing applies the
corrections, and the next snapshot has the new labels. The old label and the reason become metadata
of the image. Files and folders stay as they are.
"""

import csv
import io
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import NamedTuple

from pipelines import spreadsheet
from pipelines.data.folders import LandingFolder
from pipelines.data.labels.entry import Entry
from pipelines.errors import BadImage, LandingError
from pipelines.spec import DatasetSpec
from pipelines.spelling import nfc

FILE = "corrections.csv"
COLUMNS = ("source_path", "label", "why")
CORRECTED_FROM, CORRECTED_WHY = "corrected_from", "corrected_why"
"""Fields of an image's metadata."""
LABEL_REASONS = ("unlabelled", "ambiguous_label")
"""Reasons for refusing a file that a correction removes."""


class Correction(NamedTuple):
    """A row of the file."""

    line: int
    label: str
    """The class."""
    why: str


def read_corrections(spec: DatasetSpec, folder: LandingFolder) -> dict[str, Correction]:
    """Path → correction; empty without such a file.

    Raises:
        LandingError: the file is not CSV, lacks a column, has two labels for one image, or names an
            unknown class.
        StoreUnavailable: HDFS or the bucket does not answer.
    """
    if folder.state(FILE) is None:
        return {}
    location = f"{folder.location}/{FILE}"
    try:
        text = folder.read(FILE).decode("utf-8-sig")
        reader = csv.DictReader(io.StringIO(text, newline=""), strict=True)
        _require_columns(location, reader.fieldnames or ())
        found: dict[str, Correction] = {}
        for row in reader:
            path, correction = _correction(spec, location, reader.line_num, row)
            _require_new(location, path, correction, found)
            found[path] = correction
    except BadImage as error:
        raise LandingError(f"{location} cannot be read: {error}") from error
    except (csv.Error, UnicodeDecodeError) as error:
        raise LandingError(f"{location} is not a CSV file in UTF-8: {error}.") from error
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
        corrections: from `read_corrections`.
        pseudonym: path → the pseudonym of a DICOM file at that path.

    Returns:
        All entries. A correction without a file becomes an entry with the reason ``missing_file``.

    Raises:
        LandingError: a file's path and its pseudonym have different labels.
    """
    by_path = _by_path(entries, corrections, pseudonym=pseudonym)
    existing = {entry.relative for entry in entries}
    missing = sorted(set(by_path) - existing)
    return [
        *(_correct(entry, by_path.get(entry.relative)) for entry in entries),
        *(_without_file(path, by_path[path]) for path in missing),
    ]


def _by_path(
    entries: list[Entry],
    corrections: dict[str, Correction],
    *,
    pseudonym: Callable[[str], str],
) -> dict[str, Correction]:
    """The corrections by the path of the file, also where they name its pseudonym."""
    existing = {nfc(entry.relative): entry.relative for entry in entries}
    found = {existing[path]: one for path, one in corrections.items() if path in existing}
    others = {path: one for path, one in corrections.items() if path not in existing}
    if not others:
        return found
    relative = {pseudonym(path): path for path in existing.values()}
    for name, correction in others.items():
        path = relative.get(name, name)
        _require_new(FILE, name, correction, {name: found[path]} if path in found else {})
        found[path] = correction
    return found


def _require_columns(location: str, columns: Sequence[str]) -> None:
    missing = [name for name in COLUMNS if name not in columns]
    if missing:
        raise LandingError(
            f"{location} has no column {', '.join(map(repr, missing))}; expected "
            f"{', '.join(COLUMNS)}."
        )


def _correction(
    spec: DatasetSpec, location: str, line: int, row: dict[str, str]
) -> tuple[str, Correction]:
    path, label, why = (nfc((row[column] or "").strip()) for column in COLUMNS)
    known = spec.class_of_label.get(label, label if label in spec.class_names else None)
    if not path or not why or known is None:
        raise LandingError(
            f"{location}, line {line}: expected the path of an image, one of "
            f"{', '.join(spec.class_names)}, and why; found {path!r}, {label!r}, {why!r}."
        )
    return spreadsheet.original(path), Correction(line, known, why)


def _require_new(
    location: str, path: str, correction: Correction, found: dict[str, Correction]
) -> None:
    earlier = found.get(path, correction)
    if earlier.label != correction.label:
        raise LandingError(
            f"{location}: line {earlier.line} says {earlier.label!r} for {path}, line "
            f"{correction.line} says {correction.label!r}. Keep one of them."
        )


def _correct(entry: Entry, correction: Correction | None) -> Entry:
    if correction is None or entry.label == correction.label:
        return entry
    # An unknown label may be a folder's name, and that of a DICOM file may name a patient.
    before = entry.landing_label if entry.label else None
    history = {CORRECTED_FROM: entry.label or "no known label", CORRECTED_WHY: correction.why}
    known = replace(
        entry,
        label=correction.label,
        landing_label=before,
        metadata=entry.metadata | history,
    )
    if entry.reason not in LABEL_REASONS:
        return known
    return replace(known, reason=None, message=None)


def _without_file(path: str, correction: Correction) -> Entry:
    return Entry(
        relative=path,
        landing_label=correction.label,
        reason="missing_file",
        message=f"Line {correction.line} of {FILE} names this file, which does not exist.",
    )

"""How a landing folder is laid out: which files there are, and what each is said to show.

Three layouts are known, told apart by the spec:

    <class>/**                         class folders
    <split folder>/<class>/**          class folders inside a split that comes with the data
    anything, beside a table of labels a CSV file with a row for each image

Labels that a person has corrected stand beside them (`pipelines.data.corrections`).
"""

from collections.abc import Callable, Iterable

from pipelines.data.corrections import FILE as CORRECTIONS
from pipelines.data.corrections import corrected, read_corrections
from pipelines.data.entry import Entry
from pipelines.data.file_names import FileNames
from pipelines.data.label_table import Promise, read_promises
from pipelines.data.sources import FileState, Source
from pipelines.errors import LandingError
from pipelines.spec import DatasetSpec
from pipelines.spec.data import SplitFolder


def files(spec: DatasetSpec, source: Source) -> list[FileState]:
    """What there is to be landed, sorted by path.

    Raises:
        LandingError: the folder is missing, cannot be read, or is empty.
        StoreUnavailable: HDFS, where it stands, does not answer.
    """
    if not source.exists():
        raise LandingError(
            f"There is no landing folder {source.place}. Put the images of {spec.name} there, or "
            f"name another: medloop ingest {spec.name} FOLDER."
        )
    found = source.files(ignore=spec.landing.left_out)
    if not found:
        raise LandingError(
            f"The landing folder {source.place} holds no files. Expected: {_expected(spec)}."
        )
    return found


def entries(
    spec: DatasetSpec,
    source: Source,
    files: list[FileState],
    *,
    pseudonym: Callable[[str], str],
) -> list[Entry]:
    """Every file of a landing folder with its label, split and group, sorted by path.

    A file nobody labelled is among them, with a reason; so is a row of the table without file.

    Args:
        spec: the data set.
        source: the landing folder.
        files: what is in it.
        pseudonym: path → the name by which a DICOM file at that path is stored; corrections may
            use it.

    Raises:
        LandingError: the folder is not laid out as the spec says.
    """
    paths = [file.path for file in files if file.path != CORRECTIONS]
    found = _from_table(spec, source, paths) if spec.landing.table else _from_folders(spec, paths)
    found = corrected(found, read_corrections(spec, source), pseudonym=pseudonym)
    return sorted(found, key=lambda entry: entry.relative)


def _expected(spec: DatasetSpec) -> str:
    if spec.landing.table:
        return f"{spec.landing.table.file} and the images it names"
    folders = ", ".join(f"{label}/" for label in spec.class_of_label)
    inside = " and ".join(f"{name}/" for name in spec.landing.split_of_folder)
    return f"class folders {folders}" + (f" inside {inside}" if inside else "")


def require_every_class(spec: DatasetSpec, source: Source, found: list[Entry]) -> None:
    """See to it that a data set's first landing holds something of every class.

    Raises:
        LandingError: a class has no folder (or no row) at all.
    """
    missing = sorted(set(spec.class_names) - {entry.label for entry in found})
    if not missing:
        return
    labels = {c.name: " or ".join(map(repr, c.landing_labels)) for c in spec.classes}
    seen = sorted({entry.landing_label for entry in found if entry.landing_label})
    raise LandingError(
        f"{source.place} holds nothing of class {', '.join(missing)} of {spec.name}: expected "
        f"{_expected(spec)} (label {', '.join(labels[name] for name in missing)}); "
        f"found the labels {', '.join(map(repr, seen)) or 'none'}. Add the images, or correct "
        "classes.labels in the spec (capital letters count)."
    )


# Class folders


def _from_folders(spec: DatasetSpec, paths: list[str]) -> list[Entry]:
    split_of_folder = _split_folders(spec, paths)
    names = FileNames(spec.landing)
    return [_in_folder(spec, path, split_of_folder, names) for path in paths]


def _split_folders(spec: DatasetSpec, paths: Iterable[str]) -> dict[str, SplitFolder]:
    """Folder → split. All of the spec's, or none where new class folders came without any."""
    tops = {path.partition("/")[0] for path in paths if "/" in path}
    wanted = spec.landing.split_of_folder
    found = {folder: split for folder, split in wanted.items() if folder in tops}
    if not found and tops & set(spec.class_of_label):
        return {}
    for split in spec.landing.splits:
        if split not in found.values():
            names = " or ".join(repr(folder) for folder in wanted if wanted[folder] == split)
            raise LandingError(
                f"landing.splits.{split} of {spec.name} names the folder {names}, "
                f"which has no files; found {', '.join(map(repr, sorted(tops))) or 'no folders'}. "
                "Correct the folder or the spec (capital letters count)."
            )
    return found


def _in_folder(
    spec: DatasetSpec, path: str, split_of_folder: dict[str, SplitFolder], names: FileNames
) -> Entry:
    *folders, name = path.split("/")
    split = split_of_folder.get(folders[0]) if folders else None
    labels = folders[1:] if split else folders
    label = names.label(name) or (labels[0] if labels else None)
    known = spec.class_of_label.get(label) if label else None
    return Entry(
        relative=path,
        landing_label=label,
        label=known,
        declared_split=split,
        group=names.group(name),
        metadata=names.metadata(name),
        reason=None if known else "unlabelled",
        message=None if known else _unlabelled(spec, label),
    )


def _unlabelled(spec: DatasetSpec, label: str | None) -> str:
    known = ", ".join(spec.class_of_label)
    if label is None:
        return f"The file stands in no class folder (known: {known})."
    return f"{label!r} is no class of {spec.name} (known: {known})."


# A table of labels


def _from_table(spec: DatasetSpec, source: Source, paths: list[str]) -> list[Entry]:
    table = spec.landing.table
    assert table is not None
    promises = read_promises(table, source)
    images = [path for path in paths if path != table.file]
    names = FileNames(spec.landing)
    found = [_in_table(spec, path, promises.get(path), names) for path in images]
    absent = sorted(set(promises) - set(images))
    return found + [_without_file(table.file, promises[path]) for path in absent]


def _in_table(spec: DatasetSpec, path: str, promise: Promise | None, names: FileNames) -> Entry:
    table = spec.landing.table
    assert table is not None
    if promise is None:
        unlisted = f"{table.file} has no row for this file."
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
    return (None, None) if label else ("unlabelled", _unlabelled(spec, promise.label))


def _without_file(table: str, promise: Promise) -> Entry:
    return Entry(
        relative=promise.path,
        landing_label=promise.label,
        group=promise.group,
        metadata=promise.metadata,
        reason="missing_file",
        message=f"Line {promise.line} of {table} names this file, which is not there.",
    )

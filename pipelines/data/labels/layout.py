"""How a landing folder is laid out: which files there are, and what each is said to show.

Three layouts are known, told apart by the spec:

    <class>/**                         class folders
    <split folder>/<class>/**          class folders inside a split that comes with the data
    anything, beside a table of labels a CSV file with a row for each image (`table_layout`)

The folder that a download was unpacked into may be around the second and third: ``archive/train``.

Labels that a person has corrected stand beside them (`pipelines.data.labels.corrections`).
"""

from collections.abc import Callable, Iterable

from pipelines.data.folders import FileState, Source
from pipelines.data.labels.corrections import FILE as CORRECTIONS
from pipelines.data.labels.corrections import corrected, read_corrections
from pipelines.data.labels.entry import Entry, FileNames, unlabelled
from pipelines.data.labels.table_layout import from_table
from pipelines.data.land.originals import named_as_image, printable
from pipelines.errors import LandingError
from pipelines.spec import DatasetSpec
from pipelines.spec.data import SplitFolder
from pipelines.spelling import nfc

DEEPEST_ROOT = 4
"""Folders above those of splits that are looked through."""


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
    table = spec.landing.table
    found = from_table(spec, table, source, paths) if table else _from_folders(spec, paths)
    found = corrected(found, read_corrections(spec, source), pseudonym=pseudonym)
    return sorted(found, key=lambda entry: entry.relative)


def _expected(spec: DatasetSpec) -> str:
    if spec.landing.table:
        return f"{' or '.join(spec.landing.table.files)} and the images it names"
    folders = ", ".join(f"{label}/" for label in spec.class_of_label)
    inside = " and ".join(f"{name}/" for name in spec.landing.split_of_folder)
    return f"class folders {folders}" + (f" inside {inside}" if inside else "")


def require_every_class(spec: DatasetSpec, source: Source, found: list[Entry]) -> None:
    """Make sure that a data set's first landing holds something of every class.

    Raises:
        LandingError: a class has no folder (or no row) at all.
    """
    if missing := _missing(spec, found):
        labels = {c.name: " or ".join(map(repr, c.landing_labels)) for c in spec.classes}
        raise LandingError(
            f"{source.place} holds nothing of class {', '.join(missing)} of {spec.name}: expected "
            f"{_expected(spec)} (label {', '.join(labels[name] for name in missing)}); "
            f"found the labels {_labels(found)}. Add the images, or correct classes.labels in the "
            "spec (capital letters count)."
        )


def require_whole_splits(spec: DatasetSpec, source: Source, found: list[Entry]) -> None:
    """Make sure that each split that comes with a first landing holds something of every class.

    Raises:
        LandingError: a class has no folder in one split.
    """
    for split in sorted({str(entry.declared_split) for entry in found} - {"None"}):
        inside = [entry for entry in found if entry.declared_split == split]
        if missing := _missing(spec, inside):
            folders = [f for f, of in spec.landing.split_of_folder.items() if of == split]
            raise LandingError(
                f"The {split} folder of {source.place} ({' or '.join(map(repr, folders))}) holds "
                f"nothing of class {', '.join(missing)} of {spec.name}, which the other folders "
                f"do; found the labels {_labels(inside)} there. Add the class folder, or remove "
                f"landing.splits.{split} from the spec and move the images: then the {split} set "
                "is drawn from all of them."
            )


def _missing(spec: DatasetSpec, found: list[Entry]) -> list[str]:
    return sorted(set(spec.class_names) - {entry.label for entry in found})


def _labels(found: list[Entry]) -> str:
    """The labels found, without folders of what may be DICOM: those may be patients' names."""
    seen = {
        entry.landing_label
        for entry in found
        if entry.landing_label and (entry.label or named_as_image(entry.relative))
    }
    return ", ".join(repr(printable(label)) for label in sorted(seen)) or "none"


# Class folders


def _from_folders(spec: DatasetSpec, paths: list[str]) -> list[Entry]:
    root = _root(spec, paths)
    split_of_folder = _split_folders(
        spec, [p.removeprefix(root) for p in paths if p.startswith(root)]
    )
    names = FileNames(spec.landing)
    return [
        _in_folder(spec, path, path.removeprefix(root), split_of_folder, names) for path in paths
    ]


def _root(spec: DatasetSpec, paths: list[str]) -> str:
    """The folder around all split folders, with its slash: the one that a download was unpacked
    into. Empty where there is none."""
    root = ""
    for _ in range(DEEPEST_ROOT):
        tops = _tops(path.removeprefix(root) for path in paths if path.startswith(root))
        known = {nfc(top) for top in tops}
        if found := known & set(spec.landing.split_of_folder):
            complete = {spec.landing.split_of_folder[top] for top in found}
            return root if complete == set(spec.landing.splits) else ""
        if len(tops) != 1 or known & set(spec.class_of_label):
            return ""
        root += f"{tops.pop()}/"
    return ""


def _tops(paths: Iterable[str]) -> set[str]:
    return {path.partition("/")[0] for path in paths if "/" in path}


def _split_folders(spec: DatasetSpec, paths: list[str]) -> dict[str, SplitFolder]:
    """Folder → split. All of the spec's, or none where new class folders came without any."""
    tops = {nfc(top) for top in _tops(paths)}
    wanted = spec.landing.split_of_folder
    found = {folder: split for folder, split in wanted.items() if folder in tops}
    if not found and tops & set(spec.class_of_label):
        return {}
    for split in spec.landing.splits:
        if split not in found.values():
            names = " or ".join(repr(folder) for folder in wanted if wanted[folder] == split)
            seen = sorted({nfc(top) for top in _tops(p for p in paths if named_as_image(p))})
            raise LandingError(
                f"landing.splits.{split} of {spec.name} names the folder {names}, which has no "
                f"files; found {', '.join(repr(printable(top)) for top in seen) or 'no folders'}. "
                "Correct the folder or the spec (capital letters count)."
            )
    return found


def _in_folder(
    spec: DatasetSpec,
    path: str,
    inside: str,
    split_of_folder: dict[str, SplitFolder],
    names: FileNames,
) -> Entry:
    """The entry of the file at ``path``; ``inside`` is its path below the folder around all."""
    *folders, name = inside.split("/")
    split = split_of_folder.get(nfc(folders[0])) if folders else None
    labels = folders[1:] if split else folders
    label = names.label(name) or (nfc(labels[0]) if labels else None)
    known = spec.class_of_label.get(label) if label else None
    return Entry(
        relative=path,
        landing_label=label,
        label=known,
        declared_split=split,
        group=names.group(name),
        metadata=names.metadata(name),
        reason=None if known else "unlabelled",
        message=None if known else unlabelled(spec, label),
    )

"""The layout of a landing folder: its files and their labels.

The spec selects one of three layouts:

    <class>/**                         class folders
    <split folder>/<class>/**          class folders inside a split that comes with the data
    any folders, and a label table     a CSV file with a row for each image (`table_layout`)

In the second and third, all files may be in one more folder, as an archive creates it:
``archive/train``. `pipelines.data.labels.corrections` overrides labels.
"""

from collections.abc import Callable, Iterable

from pipelines.data.folders import FileState, LandingFolder
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
"""Most folders above those of the splits."""


def files(spec: DatasetSpec, folder: LandingFolder) -> list[FileState]:
    """The files to land, sorted by path.

    Raises:
        LandingError: the folder is missing, cannot be read, or is empty.
        StoreUnavailable: HDFS or the bucket does not answer.
    """
    if not folder.exists():
        raise LandingError(
            f"The landing folder {folder.location} does not exist. Put the images of {spec.name} "
            f"there, or name another: medloop ingest {spec.name} FOLDER."
        )
    found = folder.files(ignore=spec.landing.left_out)
    if not found:
        raise LandingError(
            f"The landing folder {folder.location} holds no files. Expected: {_expected(spec)}."
        )
    return found


def entries(
    spec: DatasetSpec,
    folder: LandingFolder,
    files: list[FileState],
    *,
    pseudonym: Callable[[str], str],
) -> list[Entry]:
    """Every file of a landing folder with its label, split and group, sorted by path.

    Includes unlabelled files and rows of the table without a file, each with a reason.

    Args:
        spec: the data set.
        folder: the landing folder.
        files: its files.
        pseudonym: path → the pseudonym of a DICOM file at that path, which corrections may use.

    Raises:
        LandingError: the folder does not have the layout of the spec.
    """
    paths = [file.path for file in files if file.path != CORRECTIONS]
    table = spec.landing.table
    found = from_table(spec, table, folder, paths) if table else _from_folders(spec, paths)
    found = corrected(found, read_corrections(spec, folder), pseudonym=pseudonym)
    return sorted(found, key=lambda entry: entry.relative)


def _expected(spec: DatasetSpec) -> str:
    if spec.landing.table:
        return f"{' or '.join(spec.landing.table.files)} and the images it names"
    folders = ", ".join(f"{label}/" for label in spec.class_of_label)
    inside = " and ".join(f"{name}/" for name in spec.landing.split_of_folder)
    return f"class folders {folders}" + (f" inside {inside}" if inside else "")


def require_every_class(spec: DatasetSpec, folder: LandingFolder, found: list[Entry]) -> None:
    """Require at least one image of every class in a data set's first landing.

    Raises:
        LandingError: a class has no folder (or no row) at all.
    """
    if missing := _missing(spec, found):
        labels = {c.name: " or ".join(map(repr, c.landing_labels)) for c in spec.classes}
        raise LandingError(
            f"{folder.location} has no images of class {', '.join(missing)} of {spec.name}: "
            f"expected {_expected(spec)} (label {', '.join(labels[name] for name in missing)}); "
            f"found the labels {_labels(found)}. Add the images, or correct classes.labels in the "
            "spec (names are case-sensitive)."
        )


def require_whole_splits(spec: DatasetSpec, folder: LandingFolder, found: list[Entry]) -> None:
    """Require at least one image of every class in each split folder of the first landing.

    Raises:
        LandingError: a class has no folder in one split.
    """
    for split in sorted({str(entry.declared_split) for entry in found} - {"None"}):
        inside = [entry for entry in found if entry.declared_split == split]
        if missing := _missing(spec, inside):
            folders = [f for f, of in spec.landing.split_of_folder.items() if of == split]
            raise LandingError(
                f"The {split} folder of {folder.location} ({' or '.join(map(repr, folders))}) has "
                f"no images of class {', '.join(missing)} of {spec.name}; the other folders "
                f"have; found the labels {_labels(inside)} there. Add the class folder, or remove "
                f"landing.splits.{split} from the spec and move the images: then the {split} set "
                "is drawn from all images."
            )


def _missing(spec: DatasetSpec, found: list[Entry]) -> list[str]:
    return sorted(set(spec.class_names) - {entry.label for entry in found})


def _labels(found: list[Entry]) -> str:
    """The labels found. Excludes folders of possible DICOM files, which may name patients."""
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
    """The folder that holds all split folders, with a slash at the end; empty if there is none."""
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
    """Folder → split: all splits of the spec, or none if class folders came without splits."""
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
                "Correct the folder or the spec (names are case-sensitive)."
            )
    return found


def _in_folder(
    spec: DatasetSpec,
    path: str,
    inside: str,
    split_of_folder: dict[str, SplitFolder],
    names: FileNames,
) -> Entry:
    """The entry of the file at ``path``; ``inside`` is its path below `_root`."""
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

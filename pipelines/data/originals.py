"""A landed file's original: the bytes that may be kept of it, and the path it is known by.

An original is the file, byte for byte. DICOM is the exception: its original is the de-identified
file (`pipelines.data.deidentify`), and its sha256 is of that. A DICOM file's own name, and any
folder it stands in below its class folder, may name the patient; a pseudonym stands for them.
"""

import hashlib
from functools import cached_property
from pathlib import Path, PurePosixPath
from typing import Any

from pipelines.data.deidentify import deidentify, may_be_dicom
from pipelines.data.pseudonyms import Pseudonyms
from pipelines.data.walk import printable, walk
from pipelines.errors import BadImage, LandingError
from pipelines.spec import DatasetSpec


def read_original(path: Path, names: Pseudonyms) -> bytes:
    """The bytes that may be kept of a file.

    Raises:
        BadImage: the file cannot be read, or it is DICOM and cannot be de-identified.
    """
    if not path.is_file():
        raise BadImage("unreadable", "This is no regular file (a broken link, a pipe?).")
    try:
        data = path.read_bytes()
    except OSError as error:
        raise BadImage("unreadable", f"The file cannot be read ({error.strerror}).") from error
    return deidentify(data, names) if may_be_dicom(path.name, data) else data


class LandedFiles:
    """The files of a landing folder by the paths they are known by.

    Args:
        spec: its split and class folders are kept as they are in a DICOM file's source path.
        folder: the landing folder.
        names: this installation's pseudonyms.
    """

    def __init__(self, spec: DatasetSpec, folder: Path, names: Pseudonyms) -> None:
        self._folder = folder
        self._ignore = spec.landing.ignore
        self._known_folders = {*spec.landing.splits.values(), *spec.class_of_label}
        self._names = names

    def plain(self, relative: str) -> str:
        """Source path of a file whose name is nobody's."""
        return printable(relative)

    def pseudonym(self, relative: str) -> str:
        """Source path of a DICOM file."""
        kept = []
        for folder in PurePosixPath(relative).parts[:-1]:
            if folder not in self._known_folders:
                break
            kept.append(folder)
        return "/".join([*kept, f"{self._names.of('file', relative)}.dcm"])

    def read(self, row: dict[str, Any]) -> bytes:
        """The original that a row of ``files.parquet`` lists.

        Raises:
            LandingError: the file is gone, or is not what was landed any more.
            BadImage: see `read_original`.
        """
        relative = self._relative.get(row["source_path"])
        if relative is None:
            raise LandingError(
                f"{row['source_path']} is gone from {self._folder} since it was landed. Put it "
                "back, or run the landing again."
            )
        content = read_original(self._folder / relative, self._names)
        if hashlib.sha256(content).hexdigest() != row["sha256"]:
            raise LandingError(
                f"{row['source_path']} in {self._folder} has changed since it was landed. Let no "
                "one write there while it is ingested, and run the landing again."
            )
        return content

    @cached_property
    def _relative(self) -> dict[str, str]:
        """Source path → path below the folder, for either way of naming."""
        known: dict[str, str] = {}
        for relative in walk(self._folder, ignore=self._ignore):
            known[self.plain(relative)] = relative
            known[self.pseudonym(relative)] = relative
        return known

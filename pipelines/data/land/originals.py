"""Originals of landed files: the bytes to store, and the source path.

An original is the file without anything that may identify a patient. For a plain image, metadata is
removed and the encoded pixels stay (`pipelines.data.land.metadata`). For DICOM, it is the
de-identified file (`pipelines.data.land.deidentify`). ``sha256`` is always that of the original.
Without anything to remove, the original is the file itself.

The name of a file may be that of a patient unless the file is a plain image; so may the folders
between it and its class folder. A pseudonym replaces them.
"""

import os
import re
from functools import cached_property
from pathlib import PurePosixPath

from pipelines import imaging
from pipelines.data.folders import LandingFolder, wanted
from pipelines.data.land import metadata
from pipelines.data.land.deidentify import SUFFIXES, deidentify, may_be_dicom
from pipelines.data.land.pseudonyms import Pseudonyms
from pipelines.errors import LandingError
from pipelines.imaging import FrameRule
from pipelines.spec import DatasetSpec
from pipelines.spelling import nfc

PLAIN_SUFFIXES = (".jpg", ".jpeg", ".png", ".tif", ".tiff", ".bmp", ".webp")
HARMLESS_SUFFIXES = (
    *PLAIN_SUFFIXES,
    *(".gif", ".heic", ".jp2", ".pdf", ".txt", ".csv", ".xml", ".html", ".json", ".doc", ".docx"),
    *(".zip", ".gz", ".tar", ".tgz", ".7z", ".rar", ".nii", ".npy", ".h5", ".db", ".xlsx"),
)
"""File extensions that a pseudonym keeps."""
PSEUDONYM = re.compile(r"[0-9a-f]{16}")


def named_as_image(path: str) -> bool:
    """Whether a file has the extension of a plain image; for files without readable content."""
    return name_of(path).lower().endswith(PLAIN_SUFFIXES)


def may_name_patient(path: str, data: bytes) -> bool:
    """Whether a file's name may be that of a patient, so a pseudonym must replace it.

    Args:
        path: the file's path in the landing folder.
        data: its content, or the beginning.
    """
    return name_of(path).lower().endswith(SUFFIXES) or imaging.kind_of(data) != "plain"


def original_of(
    path: str, data: bytes, names: Pseudonyms, *, frames: FrameRule = "single"
) -> bytes:
    """The original of a file: the bytes to store.

    Args:
        path: its path in the landing folder; a name like ``x.dcm`` counts as DICOM unless the
            content is another image format.
        data: its content.
        names: this installation's pseudonyms.
        frames: which frame of several to keep of a DICOM file.

    Raises:
        BadImage: it is DICOM and cannot be de-identified, or its metadata cannot be removed.
    """
    if may_be_dicom(name_of(path), data):
        return deidentify(data, names, frames=frames)
    return metadata.stripped(data)


def name_of(path: str) -> str:
    """The last part of a path."""
    return path.rpartition("/")[2]


class LandedFiles:
    """The files of a landing folder, by source path.

    Args:
        spec: source paths of DICOM files keep its split and class folders.
        folder: the landing folder.
        names: this installation's pseudonyms.
    """

    def __init__(self, spec: DatasetSpec, folder: LandingFolder, names: Pseudonyms) -> None:
        self._folder = folder
        self._frames = spec.limits.frames
        self._ignore = spec.landing.left_out
        self._masks_of = spec.landing.masks_of
        self.replaces_names = spec.landing.names == "pseudonyms"
        """Whether pseudonyms replace the names of plain images too."""
        self._is_synthetic = spec.synthetic
        self._known_folders = {*spec.landing.split_of_folder, *spec.class_of_label}
        self._names = names

    def plain(self, relative: str) -> str:
        """Source path of a plain image: its path, or a pseudonym if the spec replaces all names."""
        return self.pseudonym(relative) if self.replaces_names else printable(relative)

    def group(self, known: str) -> str:
        """The pseudonym of a patient or lesion ID. Synthetic images keep their IDs."""
        if self._is_synthetic or PSEUDONYM.fullmatch(known):  # already a pseudonym
            return printable(known)
        return self._names.of("group", printable(known))

    def pseudonym(self, relative: str) -> str:
        """Source path of a file whose name may be that of a patient."""
        kept = []
        for folder in PurePosixPath(relative).parts[:-1]:
            if nfc(folder) not in self._known_folders:
                break
            kept.append(folder)
        suffix = PurePosixPath(relative).suffix.lower()
        suffix = suffix if suffix in HARMLESS_SUFFIXES else ".dcm"
        return "/".join([*kept, f"{self._names.of('file', relative)}{suffix}"])

    def original(self, source_path: str) -> bytes:
        """The original of the file that now has this source path.

        Raises:
            LandingError: the folder has no such file.
            BadImage: it cannot be read, or see `original_of`.
            StoreUnavailable: HDFS or the bucket does not answer.
        """
        relative = self.relative(source_path)
        return original_of(relative, self._folder.read(relative), self._names, frames=self._frames)

    def relative(self, source_path: str) -> str:
        """The path in the landing folder of the file with this source path.

        Raises:
            LandingError: the folder has no such file.
        """
        if source_path not in self._relative:
            raise LandingError(
                f"{self._folder.location} no longer has {source_path}. Put the file back, or land "
                "the folder again."
            )
        return self._relative[source_path]

    def has(self, source_path: str) -> bool:
        """Whether the folder has a file with this source path."""
        return source_path in self._relative

    @cached_property
    def _relative(self) -> dict[str, str]:
        """Source path → path in the folder; for each file both the plain path and the pseudonym."""
        known: dict[str, str] = {}
        files = self._folder.all_files()
        for file in wanted(files, ignore=self._ignore):
            known[self.plain(file.path)] = file.path
            known[self.pseudonym(file.path)] = file.path
        existing = {nfc(file.path): file.path for file in files}
        for name, path in list(known.items()):
            for name_of_mask, mask in zip(self._masks_of(name), self._masks_of(path), strict=True):
                if nfc(mask) in existing:
                    known.setdefault(name_of_mask, existing[nfc(mask)])
        return known


def printable(path: str) -> str:
    """``path`` as valid UTF-8: bytes that are not UTF-8 are escaped (``caf\\xe9.png``)."""
    return os.fsencode(path).decode("utf-8", "backslashreplace")

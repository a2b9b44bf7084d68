"""A landed file's original: the bytes that may be kept of it, and the path it is known by.

An original is the file without what may identify a patient: of a plain image, its metadata is
removed and its pixels stay as they are encoded (`pipelines.data.land.metadata`); of DICOM, it is
the de-identified file (`pipelines.data.land.deidentify`). The sha256 is of the original. A file
that has nothing to remove is its own original, byte for byte.

The name of a file that is not proven to be a plain image (DICOM, an archive, an unknown format)
may be a patient's, and so may the folders between it and its class folder. A pseudonym replaces
them everywhere.
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
"""Endings that a pseudonym keeps: they tell what a file is, and nothing else."""
PSEUDONYM = re.compile(r"[0-9a-f]{16}")


def named_as_image(path: str) -> bool:
    """Whether a file is named like a plain image. It says little, but all there is where the
    content cannot be read."""
    return name_of(path).lower().endswith(PLAIN_SUFFIXES)


def may_name_patient(path: str, data: bytes) -> bool:
    """Whether a file's own name must be replaced, because it may be a patient's.

    Args:
        path: where the file is in the landing folder.
        data: its content, or the beginning of it.
    """
    return name_of(path).lower().endswith(SUFFIXES) or imaging.kind_of(data) != "plain"


def original_of(
    path: str, data: bytes, names: Pseudonyms, *, frames: FrameRule = "single"
) -> bytes:
    """The bytes that may be kept of a file.

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
    """A file's own name."""
    return path.rpartition("/")[2]


class LandedFiles:
    """The files of a landing folder by the paths they are known by.

    Args:
        spec: its split and class folders are kept as they are in a DICOM file's source path.
        source: the landing folder.
        names: this installation's pseudonyms.
    """

    def __init__(self, spec: DatasetSpec, source: LandingFolder, names: Pseudonyms) -> None:
        self._source = source
        self._frames = spec.limits.frames
        self._ignore = spec.landing.left_out
        self._masks_of = spec.landing.masks_of
        self.replaces_names = spec.landing.names == "pseudonyms"
        """Whether the names of plain images are replaced, too."""
        self._is_synthetic = spec.synthetic
        self._known_folders = {*spec.landing.split_of_folder, *spec.class_of_label}
        self._names = names

    def plain(self, relative: str) -> str:
        """Source path of a file whose name is nobody's, unless the spec replaces all names."""
        return self.pseudonym(relative) if self.replaces_names else printable(relative)

    def group(self, known: str) -> str:
        """What a patient or lesion is called in the store: a pseudonym, as its ID may be a name.

        Nobody is shown in synthetic images, so their groups stay as they are.
        """
        if self._is_synthetic or PSEUDONYM.fullmatch(known):  # it is one already
            return printable(known)
        return self._names.of("group", printable(known))

    def pseudonym(self, relative: str) -> str:
        """Source path of a file whose name may be a patient's."""
        kept = []
        for folder in PurePosixPath(relative).parts[:-1]:
            if nfc(folder) not in self._known_folders:
                break
            kept.append(folder)
        suffix = PurePosixPath(relative).suffix.lower()
        suffix = suffix if suffix in HARMLESS_SUFFIXES else ".dcm"
        return "/".join([*kept, f"{self._names.of('file', relative)}{suffix}"])

    def original(self, source_path: str) -> bytes:
        """The original of what is known by ``source_path``, whatever it is by now.

        Raises:
            LandingError: the file is gone.
            BadImage: it cannot be read, or see `original_of`.
            StoreUnavailable: HDFS, where the file is, does not answer.
        """
        relative = self.relative(source_path)
        return original_of(relative, self._source.read(relative), self._names, frames=self._frames)

    def relative(self, source_path: str) -> str:
        """The path below the landing folder of what is known by ``source_path``.

        Raises:
            LandingError: the file is gone.
        """
        if source_path not in self._relative:
            raise LandingError(
                f"{source_path} is gone from {self._source.location} since it was landed. Put it "
                "back, or run the landing again."
            )
        return self._relative[source_path]

    def has(self, source_path: str) -> bool:
        """Whether the folder has a file that is known by ``source_path``."""
        return source_path in self._relative

    @cached_property
    def _relative(self) -> dict[str, str]:
        """Source path → path below the folder, for either way of naming."""
        known: dict[str, str] = {}
        everything = self._source.all_files()
        for file in wanted(everything, ignore=self._ignore):
            known[self.plain(file.path)] = file.path
            known[self.pseudonym(file.path)] = file.path
        there = {nfc(file.path): file.path for file in everything}
        for name, path in list(known.items()):
            for called, mask in zip(self._masks_of(name), self._masks_of(path), strict=True):
                if nfc(mask) in there:
                    known.setdefault(called, there[nfc(mask)])
        return known


def printable(path: str) -> str:
    """``path`` in letters that every file format can hold.

    File names that are no UTF-8 come from the operating system with placeholders; these are
    written out (``caf\\xe9.png``).
    """
    return os.fsencode(path).decode("utf-8", "backslashreplace")

"""Uploads through the service: checks, names and writes images into a landing folder.

Files are written atomically and never overwritten, and a name from a client cannot lead out of the
folder. After that, an upload is a file of the landing folder like any other.
"""

import hashlib
import re
import unicodedata
from collections import defaultdict
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Literal

from pipelines import imaging
from pipelines.data.folders import FileState, LandingFolder, wanted
from pipelines.data.labels.entry import FileNames
from pipelines.errors import BadImage, LabelError
from pipelines.imaging.info import Format
from pipelines.imaging.limits import limits_of
from pipelines.spec import DatasetSpec
from pipelines.spec.data import UNLABELLED

SUFFIXES: dict[Format, tuple[str, ...]] = {
    "JPEG": (".jpg", ".jpeg"),
    "PNG": (".png",),
    "TIFF": (".tif", ".tiff"),
    "BMP": (".bmp",),
    "WEBP": (".webp",),
    "DICOM": (".dcm",),
}
"""File extensions of a format; a file with another extension gets the first one."""
LONGEST_STEM = 100
HASH_DIGITS = 16

Status = Literal["accepted", "duplicate", "refused"]


@dataclass(frozen=True)
class Checked:
    """An image that can be landed."""

    data: bytes
    sha256: str
    format: Format


@dataclass(frozen=True)
class Outcome:
    """The result of uploading one file."""

    status: Status
    code: str | None = None
    """Stable code of the reason why it was not accepted."""
    message: str | None = None
    """The reason as a sentence."""


def check(spec: DatasetSpec, data: bytes) -> Checked:
    """Check an image as landing does.

    Raises:
        BadImage: it cannot be used; the reason is that of landing.
    """
    limits = limits_of(spec.limits)
    format = imaging.inspect(data, limits=limits).format
    if imaging.is_blank(imaging.decode(data, limits=limits)):
        raise BadImage("blank", "The image has a single shade.")
    return Checked(data, hashlib.sha256(data).hexdigest(), format)


class Delivery:
    """Adds images to a landing folder, all under one label.

    Args:
        spec: the data set.
        landing_folder: its landing folder; listed once, by the constructor.
        label: a class or landing label; ``None`` for unlabelled images.

    Raises:
        LabelError: the data set has no such class, or takes its labels from a table.
        LandingError: the folder cannot be read.
        StoreUnavailable: HDFS or the bucket does not answer.
    """

    def __init__(self, spec: DatasetSpec, landing_folder: LandingFolder, label: str | None) -> None:
        self.location = landing_folder.location
        self._spec = spec
        self._landing_folder = landing_folder
        self._names = FileNames(spec.landing)
        self._label = _landing_label(spec, label)
        states = landing_folder.all_files() if landing_folder.exists() else []
        self.folder = _folder(spec, states, self._label)
        """Target folder, relative to the landing folder."""
        self._by_size: dict[int, list[str]] = defaultdict(list)
        for state in states:
            self._by_size[state.size].append(state.path)

    def add(self, name: str, image: Checked) -> Outcome:
        """Write one image, unless the landing folder has the same bytes.

        Args:
            name: file name from the client. Its safe characters are kept, because a data set may
                read patient and label from names. Names of DICOM files are not kept.
            image: the image.

        Raises:
            OSError: the folder is not writable, or the disk is full.
            StoreUnavailable: HDFS or the bucket does not answer.
        """
        if found := self._found(image):
            where = found.rpartition("/")[0] or "its top"
            message = f"The landing folder has the same bytes already (in {where})."
            return Outcome("duplicate", "duplicate", message)
        stem, suffix = safe_name(name, image.format)
        digits = image.sha256[:HASH_DIGITS]
        stem = digits if image.format == "DICOM" or not stem else stem
        if refused := self._refused(f"{stem}{suffix}"):
            return refused
        for path in (f"{stem}{suffix}", f"{stem}-{digits}{suffix}"):
            if self._landing_folder.add(f"{self.folder}/{path}", image.data):
                self._by_size[len(image.data)].append(f"{self.folder}/{path}")
                return Outcome("accepted")
        # Another client has just uploaded the same bytes: the name contains their hash.
        return Outcome("duplicate", "duplicate", "The landing folder has the same bytes already.")

    def _found(self, image: Checked) -> str | None:
        """The path of a file with the same bytes; reads only files of the same size."""
        for path in self._by_size[len(image.data)]:
            try:
                if hashlib.sha256(self._landing_folder.read(path)).hexdigest() == image.sha256:
                    return path
            except BadImage:  # deleted meanwhile
                continue
        return None

    def _refused(self, name: str) -> Outcome | None:
        """The refusal if landing would ignore this name, or read another label from it."""
        path = f"{self.folder}/{name}"
        if self._label is None:
            return None
        if not wanted([FileState(path, 1, 0, 0)], ignore=self._spec.landing.left_out):
            message = f"{self._spec.name} ignores files of this name (landing.ignore)."
            return Outcome("refused", "name_ignored", message)
        label_of_name = self._names.label(name)
        known = self._spec.class_of_label
        if label_of_name is not None and known.get(label_of_name) != known[self._label]:
            message = f"The file name says {label_of_name!r}, but label={self._label!r} was sent."
            return Outcome("refused", "label_conflict", message)
        return None


def safe_name(name: str, format: Format) -> tuple[str, str]:
    """Stem and suffix of a file name: letters of ASCII, digits, dots, dashes and underscores only.
    The stem may be empty."""
    last = PurePosixPath(name.replace("\\", "/")).name
    stem, dot, ending = last.rpartition(".")
    plain = unicodedata.normalize("NFKD", stem if dot else last).encode("ascii", "ignore").decode()
    plain = re.sub(r"[^A-Za-z0-9._-]+", "_", plain)[:LONGEST_STEM].strip("._-")
    is_usual = f".{ending.lower()}" in SUFFIXES[format]
    return plain, f".{ending}" if is_usual else SUFFIXES[format][0]


def _landing_label(spec: DatasetSpec, label: str | None) -> str | None:
    """The landing label of a class or landing label."""
    if label is None:
        return None
    if spec.landing.table:
        tables = " or ".join(spec.landing.table.files)
        raise LabelError(
            f"The labels of {spec.name} come from {tables}. Send the images "
            f"without a label (they go to {UNLABELLED}/), or put them and their rows into the "
            "landing folder."
        )
    if label in spec.class_of_label:
        return label
    labels = {c.name: c.landing_labels[0] for c in spec.classes}
    if label not in labels:
        known = ", ".join(spec.class_names)
        raise LabelError(f"label={label!r} is not a class of {spec.name}; classes: {known}.")
    return labels[label]


def _folder(spec: DatasetSpec, states: list[FileState], label: str | None) -> str:
    """The target folder of a label: in the folder of training images if there are split folders
    (never in those of validation or test), else a class folder at the top; see
    `pipelines.data.labels.layout`."""
    if label is None:
        return UNLABELLED
    splits = spec.landing.split_of_folder
    order = [folder for folder, split in splits.items() if split == "train"]
    found: set[tuple[int, int, str]] = set()
    for folder in {s.path.rpartition("/")[0] for s in wanted(states, ignore=spec.landing.left_out)}:
        parts = folder.split("/")
        place = next((n for n, part in enumerate(parts) if part in splits), None)
        if place is None or set(parts[:place]) & set(spec.class_of_label):
            continue
        if parts[place] in order:
            training = "/".join(parts[: place + 1])
            found.add((order.index(parts[place]), place, training))
    return f"{min(found)[2]}/{label}" if found else label

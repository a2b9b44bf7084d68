"""Images that come through the service: judged, named, and written into a landing folder.

A file is complete when it appears, nothing is ever overwritten, and no name that a client sends
leads out of the folder. From there on it is a file of the landing folder as any other.
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
"""Endings of a format's files; the first is given to a file with another one."""
LONGEST_STEM = 100
HASH_DIGITS = 16

Status = Literal["accepted", "duplicate", "refused"]


@dataclass(frozen=True)
class Checked:
    """An image that may be landed."""

    data: bytes
    sha256: str
    format: Format


@dataclass(frozen=True)
class Outcome:
    """What became of one file."""

    status: Status
    code: str | None = None
    """Why it was not accepted: a stable word."""
    message: str | None = None
    """The same for a person."""


def check(spec: DatasetSpec, data: bytes) -> Checked:
    """Open one image as landing will.

    Raises:
        BadImage: it cannot be used, for the reason that landing would give.
    """
    limits = limits_of(spec.limits)
    format = imaging.inspect(data, limits=limits).format
    if imaging.is_blank(imaging.decode(data, limits=limits)):
        raise BadImage("blank", "The image is one shade all over.")
    return Checked(data, hashlib.sha256(data).hexdigest(), format)


class Delivery:
    """Adds images to a landing folder, all under one label.

    Args:
        spec: the data set.
        source: its landing folder; listed once, here.
        label: a class, or what the landing folder calls it; ``None`` for images nobody has
            labelled yet.

    Raises:
        LabelError: the data set has no such class, or takes its labels from a table.
        LandingError: the folder cannot be read.
        StoreUnavailable: it is in HDFS, which does not answer.
    """

    def __init__(self, spec: DatasetSpec, source: LandingFolder, label: str | None) -> None:
        self.location = source.location
        self._spec = spec
        self._source = source
        self._names = FileNames(spec.landing)
        self._label = _landing_label(spec, label)
        states = source.all_files() if source.exists() else []
        self.folder = _folder(spec, states, self._label)
        """Where the images go, relative to the landing folder."""
        self._by_size: dict[int, list[str]] = defaultdict(list)
        for state in states:
            self._by_size[state.size].append(state.path)

    def add(self, name: str, image: Checked) -> Outcome:
        """Write one image, unless its bytes are in the landing folder already.

        Args:
            name: what the client calls the file; as much of it is kept as is safe, because a data
                set may read patient and label from names. Of DICOM files nothing is kept.
            image: the image.

        Raises:
            OSError: the folder cannot be written, or the disk is full.
            StoreUnavailable: HDFS does not answer.
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
            if self._source.add(f"{self.folder}/{path}", image.data):
                self._by_size[len(image.data)].append(f"{self.folder}/{path}")
                return Outcome("accepted")
        # Somebody else has brought the same bytes just now: the name holds their hash.
        return Outcome("duplicate", "duplicate", "The landing folder has the same bytes already.")

    def _found(self, image: Checked) -> str | None:
        """A file of the folder that has the same bytes; only those of its size are read."""
        for path in self._by_size[len(image.data)]:
            try:
                if hashlib.sha256(self._source.read(path)).hexdigest() == image.sha256:
                    return path
            except BadImage:  # it is gone
                continue
        return None

    def _refused(self, name: str) -> Outcome | None:
        """Why a file under this name would not be landed as the client means it."""
        path = f"{self.folder}/{name}"
        if self._label is None:
            return None
        if not wanted([FileState(path, 1, 0, 0)], ignore=self._spec.landing.left_out):
            message = f"{self._spec.name} ignores files of this name (landing.ignore)."
            return Outcome("refused", "name_ignored", message)
        told = self._names.label(name)
        known = self._spec.class_of_label
        if told is not None and known.get(told) != known[self._label]:
            message = f"The file's name says {told!r}, and it was sent as {self._label!r}."
            return Outcome("refused", "label_conflict", message)
        return None


def safe_name(name: str, format: Format) -> tuple[str, str]:
    """Stem and suffix of a file's name without folders and without anything but plain letters,
    digits, dots, dashes and underscores; the stem may be empty."""
    last = PurePosixPath(name.replace("\\", "/")).name
    stem, dot, ending = last.rpartition(".")
    plain = unicodedata.normalize("NFKD", stem if dot else last).encode("ascii", "ignore").decode()
    plain = re.sub(r"[^A-Za-z0-9._-]+", "_", plain)[:LONGEST_STEM].strip("._-")
    is_usual = f".{ending.lower()}" in SUFFIXES[format]
    return plain, f".{ending}" if is_usual else SUFFIXES[format][0]


def _landing_label(spec: DatasetSpec, label: str | None) -> str | None:
    """The label as the landing folder knows it."""
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
    """Where images of a label go: into the folder of the training images, where the collection
    has one (never among those that test or validate a model), else into a class folder at the
    top; see `pipelines.data.labels.layout`."""
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

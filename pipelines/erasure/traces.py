"""Which images an erasure means, and by what they are known.

Images are found in the tables that say what there is: those of landings, ``images`` and
``quarantine``. All files with the same bytes are one image, so all of them go, with their masks.
"""

import hashlib
import json
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from html import escape
from pathlib import Path
from typing import Any

from pipelines.data.land.changes import LANDED_SHA256
from pipelines.data.land.originals import LandedFiles, original_of, printable
from pipelines.data.land.pseudonyms import Pseudonyms, keyed
from pipelines.errors import BadImage, NotFound
from pipelines.spark.parquet import opened
from pipelines.spec import DatasetSpec
from pipelines.storage import Store

RECORD = re.compile(r"[^/]+/(landings/[^/]+/files|tables/(images|quarantine)/[^/]+)\.parquet")
"""Tables that say which images there are."""
MASKS = re.compile(r"[^/]+/(landings/[^/]+/masks|tables/images/[^/]+)\.parquet")
COLUMNS = ("sha256", "source_path", "group", "patient", "metadata", "files")
MASK_COLUMNS = ("image", "sha256", "source_path", "mask")
SHA256 = re.compile(r"[0-9a-f]{64}")
CLUSTER_DIGITS = 16
"""Digits of a sha256 that name a cluster."""


@dataclass(frozen=True)
class Wanted:
    """How the images are named; any of these is enough."""

    hashes: frozenset[str] = frozenset()
    """sha256, of originals or of files as they landed."""
    patients: frozenset[str] = frozenset()
    """Pseudonyms of one patient or lesion."""
    paths: frozenset[str] = frozenset()
    keyed: frozenset[str] = frozenset()
    """Keyed hashes and paths, of an erasure that was cut short."""

    def means(self, row: "Row", names: Pseudonyms) -> bool:
        """Whether a row is of an image that is meant."""
        if not self.hashes.isdisjoint(row.hashes) or row.path in self.paths:
            return True
        if row.patient in self.patients:
            return True
        known = row.hashes or (row.path,)
        return bool(self.keyed) and any(keyed(names, value) in self.keyed for value in known)


@dataclass(frozen=True)
class Row:
    """What a table says of one file."""

    hashes: tuple[str, ...]
    """sha256 of the original, then of the file as it landed where that is another; none where the
    file could not be read."""
    path: str
    patient: str | None


@dataclass(frozen=True)
class Traces:
    """By what images are known in everything that is kept."""

    originals: frozenset[str]
    """sha256 of the originals."""
    landed: frozenset[str]
    """The same of files as they landed, where metadata was removed."""
    masks: frozenset[str]
    paths: frozenset[str]
    """Source paths that belong to no other image."""
    unread: int
    """Files that were refused unread: known by their paths alone."""

    @property
    def count(self) -> int:
        """Images."""
        return len(self.originals) + self.unread

    @cached_property
    def hashes(self) -> frozenset[str]:
        """All of them."""
        return self.originals | self.landed | self.masks

    @cached_property
    def clusters(self) -> frozenset[str]:
        """Names that clusters may have by these images."""
        return frozenset(sha256[:CLUSTER_DIGITS] for sha256 in self.originals)

    @cached_property
    def pattern(self) -> re.Pattern[bytes]:
        """Finds a hash or a path in a text; one that is part of a longer path is another."""
        forms = {
            form
            for path in self.paths
            for form in (path, json.dumps(path)[1:-1], escape(path), path.replace("/", "\\/"))
        }
        paths = [
            rb"(?<![\w/.-])" + re.escape(form.encode()) + rb"(?![\w/-])" for form in sorted(forms)
        ]
        hashes = [sha256.encode() for sha256 in sorted(self.hashes)]
        return re.compile(b"|".join([*hashes, *paths]) or rb"(?!)")

    def is_in(self, text: str) -> bool:
        """Whether a text names one of the images."""
        return self.pattern.search(text.encode("utf-8", "surrogateescape")) is not None


def of_patient(names: Pseudonyms, identity: str) -> Wanted:
    """All images of a patient or lesion.

    Args:
        names: this installation's pseudonyms.
        identity: the ID as it landed (in a file name, a table or a DICOM header), or its
            pseudonym.
    """
    known = {printable(identity), names.of("group", printable(identity))}
    known |= {names.of("group", identity), names.of("patient", identity.strip())}
    return Wanted(patients=frozenset(known))


def of_hash(sha256: str) -> Wanted:
    """One image.

    Raises:
        NotFound: it is not a sha256.
    """
    if not SHA256.fullmatch(sha256.lower()):
        raise NotFound(
            f"{sha256!r} is not a sha256 (64 digits 0 to 9 and a to f). `sha256sum FILE` prints "
            "that of a file; --file takes the file itself."
        )
    return Wanted(hashes=frozenset([sha256.lower()]))


def of_file(spec: DatasetSpec, names: Pseudonyms, files: LandedFiles, path: str) -> Wanted:
    """The image of a file.

    Args:
        spec: the data set.
        names: this installation's pseudonyms.
        files: the landing folder, by whose rules paths are known.
        path: of a file on this machine; or as it is, or was, below the landing folder; or as a
            report or log shows it.
    """
    local = Path(path)
    if not local.is_file():
        return Wanted(paths=frozenset([printable(path), files.plain(path), files.pseudonym(path)]))
    content = local.read_bytes()
    hashes = {hashlib.sha256(content).hexdigest()}
    try:
        original = original_of(path, content, names, frames=spec.limits.frames)
        hashes.add(hashlib.sha256(original).hexdigest())
    except BadImage:  # it was refused, so only its own hash may be known
        pass
    return Wanted(hashes=frozenset(hashes))


def find(store: Store, dataset: str, wanted: Wanted, names: Pseudonyms) -> Traces:
    """By what the images that are meant are known.

    Raises:
        StoreUnavailable: the store does not answer.
    """
    paths = list(store.walk(dataset))
    rows = set(_rows(store, filter(RECORD.fullmatch, paths)))
    meant = {row for row in rows if wanted.means(row, names)}
    images = {row.hashes[0] for row in meant if row.hashes}
    meant |= {row for row in rows if not images.isdisjoint(row.hashes[:1])}  # the same bytes
    others = {row.path for row in rows - meant}
    masks, mask_paths = _masks(store, filter(MASKS.fullmatch, paths), images)
    return Traces(
        originals=frozenset(images),
        landed=frozenset(sha256 for row in meant for sha256 in row.hashes[1:]),
        masks=masks,
        paths=frozenset({row.path for row in meant} | mask_paths) - others,
        unread=len({row.path for row in meant if not row.hashes}),
    )


def _rows(store: Store, paths: Iterable[str]) -> Iterator[Row]:
    for path in paths:
        for row in _read(store, path, COLUMNS):
            for file in _files(row):
                hashes = dict.fromkeys(str(one) for one in (row["sha256"], file.landed) if one)
                yield Row(tuple(hashes), file.path, file.patient)


@dataclass(frozen=True)
class File:
    """What a table says of one of the files with the same bytes."""

    path: str
    landed: str | None
    patient: str | None


def _files(row: dict[str, Any]) -> list[File]:
    """The files of a row: one, or a list in the table ``images``."""
    if "files" in row:
        return [File(f["source_path"], f["landed_sha256"], f["patient"]) for f in row["files"]]
    landed = json.loads(row.get("metadata") or "{}").get(LANDED_SHA256)
    return [File(str(row["source_path"]), landed, row.get("group", row.get("patient")))]


def _masks(
    store: Store, paths: Iterable[str], images: set[str]
) -> tuple[frozenset[str], frozenset[str]]:
    """Hashes and paths of the images' masks, but for bytes that another image's mask has too."""
    rows = [_mask(row) for path in paths for row in _read(store, path, MASK_COLUMNS)]
    found = []
    for column in ("sha256", "source_path"):
        ours = {str(row[column]) for row in rows if row["image"] in images and row[column]}
        others = {str(row[column]) for row in rows if row["image"] not in images}
        found.append(frozenset(ours - others))
    return found[0], found[1]


def _mask(row: dict[str, Any]) -> dict[str, Any]:
    """``image`` (sha256), ``sha256`` and ``source_path`` of a mask; null where there is none."""
    if "image" in row:
        return row
    mask = row.get("mask") or {"sha256": None, "source_path": None}
    return {"image": row["sha256"], **mask}


def _read(store: Store, path: str, columns: Iterable[str]) -> list[dict[str, Any]]:
    with opened(store, path) as parquet:
        known = [name for name in columns if name in parquet.schema_arrow.names]
        rows: list[dict[str, Any]] = parquet.read(known).to_pylist()
    return rows

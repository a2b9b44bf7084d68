"""Opening one landed file: what it holds, and whether it can be used."""

import hashlib
from contextlib import suppress
from typing import BinaryIO

import numpy as np
from pydantic import BaseModel, Field

from pipelines import imaging
from pipelines.data.folders import LandingFolder
from pipelines.data.land.deidentify import is_dicom, patient_of
from pipelines.data.land.metadata import require_same_pixels
from pipelines.data.land.originals import may_name_patient, named_as_image, original_of
from pipelines.data.land.pseudonyms import Pseudonyms
from pipelines.errors import BadImage, MedloopError
from pipelines.failures import frames_of, refusal
from pipelines.imaging import Limits
from pipelines.imaging.shades import grey_level

BLOCK_BYTES = 1 << 20
MEGABYTE = 1 << 20
SIGNATURE_BYTES = 1 << 10


class Examined(BaseModel):
    """What opening a file has shown."""

    sha256: str | None = None
    size: int | None = None
    """In bytes."""
    landed_sha256: str | None = None
    """Of the file as it landed, where metadata was removed from it."""
    format: str | None = None
    width: int | None = None
    height: int | None = None
    mode: str | None = None
    bits: int | None = None
    notes: list[str] = []
    thumbnail: bytes | None = None
    mean: float | None = None
    std: float | None = None
    traces: list[float] | None = None
    """Of how the picture was made; see `pipelines.imaging.traces`."""
    reason: str | None = None
    message: str | None = None
    nameless: bool = True
    """Whether its name may be a patient's: it is not proven to be a plain image."""
    patient: str | None = None
    """Pseudonym of the patient whom a DICOM file shows."""
    frames: str | None = Field(default=None, exclude=True)
    """Where an error that nobody expected was raised, for the log."""
    original: bytes | None = Field(default=None, exclude=True)
    """The bytes that may be kept, of a file that could be decoded."""


def examine(source: LandingFolder, path: str, names: Pseudonyms, *, limits: Limits) -> Examined:
    """Open a file. Whatever is wrong with it is the ``reason`` of the result, never an error.

    Args:
        source: the landing folder.
        path: the file's path in it.
        names: this installation's pseudonyms.
        limits: beyond which it is refused.

    Raises:
        StoreUnavailable: HDFS, where the file is stored, does not answer.
    """
    found = Examined()
    try:
        _examine(source, path, names, limits=limits, found=found)
    except BadImage as error:
        found.reason, found.message = error.reason, str(error)
    except MedloopError:  # of the store or of this process, not of the file
        raise
    except Exception as error:
        refused = refusal(error)
        found.reason, found.message = refused.reason, str(refused)
        found.frames = frames_of(error)
    return found


def unopened(source: LandingFolder, path: str, *, reason: str, message: str) -> Examined:
    """The result for a file that ended the process that opened it, or kept it busy.

    Only its first bytes are read here, to decide whether its name may be known.
    """
    found = Examined(reason=reason, message=message)
    with suppress(BadImage), source.open(path) as file:
        begin = file.read(SIGNATURE_BYTES)
        found.nameless = not named_as_image(path) or imaging.sniff(begin) == "DICOM"
    return found


def _examine(
    source: LandingFolder, path: str, names: Pseudonyms, *, limits: Limits, found: Examined
) -> None:
    """Fill ``found`` in, as far as the file allows."""
    found.nameless = not named_as_image(path)
    with source.open(path) as file:
        content = file.read(limits.max_bytes + 1)
        found.nameless = may_name_patient(path, content)
        _refuse_oversized(content, file, limits=limits, found=found)
    data = original_of(path, content, names, frames=limits.frames)
    found.sha256, found.size = hashlib.sha256(data).hexdigest(), len(data)
    if is_dicom(data):
        shown = data
    else:
        shown = content  # as the service sees it
        found.landed_sha256 = _other_hash(content, data)
    info = imaging.inspect(shown, limits=limits)
    found.format, found.mode, found.bits = info.format, info.mode, info.bits
    found.width, found.height, found.notes = info.width, info.height, info.notes
    if is_dicom(data):
        found.patient = patient_of(data)
    picture = imaging.decode(shown, limits=limits)
    if found.landed_sha256:
        require_same_pixels(picture, data, limits=limits)
    elif data != content and not np.array_equal(picture, imaging.decode(content, limits=limits)):
        raise BadImage(
            "altered", "De-identification would change how this DICOM file looks: please report it."
        )
    found.original = data
    found.thumbnail = imaging.thumbnail(picture)
    found.mean, found.std = grey_level(picture)
    found.traces = imaging.traces(shown, picture)
    if imaging.is_blank(picture):
        raise BadImage("blank", f"The picture is one shade all over (deviation {found.std:.1f}).")


def _other_hash(content: bytes, data: bytes) -> str | None:
    """The sha256 of a file as it landed, where that is not the sha256 of its original."""
    return hashlib.sha256(content).hexdigest() if content != data else None


def _refuse_oversized(content: bytes, rest: BinaryIO, *, limits: Limits, found: Examined) -> None:
    """Refuse a file before it fills the memory; its hash is taken block by block."""
    if len(content) <= limits.max_bytes:
        return
    digest, size = hashlib.sha256(content), len(content)
    while block := rest.read(BLOCK_BYTES):
        digest.update(block)
        size += len(block)
    found.sha256, found.size = digest.hexdigest(), size
    raise BadImage(
        "too_large",
        f"The file has {size / MEGABYTE:,.1f} MB; the limit is {limits.max_bytes / MEGABYTE:g} MB.",
    )

"""Opens one landed file: its properties, its original, and whether it can be used."""

import hashlib
from contextlib import suppress
from dataclasses import dataclass
from typing import BinaryIO

import numpy as np
import pyarrow as pa

from pipelines import imaging
from pipelines.data.folders import LandingFolder
from pipelines.data.land.deidentify import is_dicom, patient_of
from pipelines.data.land.metadata import require_same_pixels
from pipelines.data.land.originals import may_name_patient, named_as_image, original_of
from pipelines.data.land.pseudonyms import Pseudonyms
from pipelines.data.rows import Int32, Int64, schema_of
from pipelines.errors import BadImage, MedloopError
from pipelines.failures import frames_of, refusal
from pipelines.imaging import Limits
from pipelines.imaging.shades import grey_level

BLOCK_BYTES = 1 << 20
MEGABYTE = 1 << 20
SIGNATURE_BYTES = 1 << 10


@dataclass(slots=True)
class Examined:
    """The result of opening a file."""

    sha256: str | None = None
    size: Int64 | None = None
    """In bytes."""
    landed_sha256: str | None = None
    """Of the landed file, if metadata was removed from it."""
    format: str | None = None
    width: Int32 | None = None
    height: Int32 | None = None
    mode: str | None = None
    bits: Int32 | None = None
    notes: tuple[str, ...] = ()
    mean: float | None = None
    std: float | None = None
    reason: str | None = None
    message: str | None = None
    nameless: bool = True
    """Whether a pseudonym must replace its name: it may be that of a patient."""
    patient: str | None = None
    """Pseudonym of the patient of a DICOM file."""
    frames: str | None = None
    """Stack frames of an unexpected error, for the log."""
    thumbnail: bytes | None = None
    traces: tuple[float, ...] | None = None
    """Acquisition fingerprint; see `pipelines.imaging.traces`."""
    original: bytes | None = None
    """The bytes to store, if the file could be decoded."""


STORED = ("thumbnail", "traces", "original")
"""Fields of `Examined` that are stored with the image, not listed."""
LISTED = tuple(field for field in schema_of(Examined) if field.name not in STORED)
OPENED = pa.schema(
    [
        ("path", pa.binary()),
        *(field.with_nullable(True) for field in LISTED),
        ("facts", pa.string()),
    ]
)
"""One row for each opened file: ``path`` in the landing folder (bytes of the file system, which
need not be UTF-8), fields of `Examined`, and ``facts``: the key of the row in ``originals``, null
if the file could not be decoded."""


def examine(folder: LandingFolder, path: str, names: Pseudonyms, *, limits: Limits) -> Examined:
    """Open a file. A fault of the file becomes the ``reason`` of the result, never an error.

    Args:
        folder: the landing folder.
        path: the file's path in it.
        names: this installation's pseudonyms.
        limits: limits of size and pixels.

    Raises:
        StoreUnavailable: HDFS or the bucket does not answer.
    """
    found = Examined()
    try:
        _examine(folder, path, names, limits=limits, found=found)
    except BadImage as error:
        found.reason, found.message = error.reason, str(error)
    except MedloopError:  # an error of the store or of this process, not of the file
        raise
    except Exception as error:
        refused = refusal(error)
        found.reason, found.message = refused.reason, str(refused)
        found.frames = frames_of(error)
    return found


def unopened(folder: LandingFolder, path: str, *, reason: str, message: str) -> Examined:
    """The result for a file that ended the process that opened it, or took too long.

    Reads the first bytes only, to decide whether a pseudonym must replace its name.
    """
    found = Examined(reason=reason, message=message)
    with suppress(BadImage), folder.open(path) as file:
        begin = file.read(SIGNATURE_BYTES)
        found.nameless = not named_as_image(path) or imaging.sniff(begin) == "DICOM"
    return found


def _examine(
    folder: LandingFolder, path: str, names: Pseudonyms, *, limits: Limits, found: Examined
) -> None:
    """Fill in ``found`` as far as possible."""
    found.nameless = not named_as_image(path)
    with folder.open(path) as file:
        content = file.read(limits.max_bytes + 1)
        found.nameless = may_name_patient(path, content)
        _refuse_oversized(content, file, limits=limits, found=found)
    data = original_of(path, content, names, frames=limits.frames)
    found.sha256, found.size = hashlib.sha256(data).hexdigest(), len(data)
    if is_dicom(data):
        bytes_shown = data
    else:
        bytes_shown = content  # as the service receives it
        found.landed_sha256 = _other_hash(content, data)
    info = imaging.inspect(bytes_shown, limits=limits)
    found.format, found.mode, found.bits = info.format, info.mode, info.bits
    found.width, found.height, found.notes = info.width, info.height, tuple(info.notes)
    if is_dicom(data):
        found.patient = patient_of(data)
    image = imaging.decode(bytes_shown, limits=limits)
    if found.landed_sha256:
        require_same_pixels(image, data, limits=limits)
    elif data != content and not np.array_equal(image, imaging.decode(content, limits=limits)):
        raise BadImage(
            "altered",
            "De-identification would change the pixels of this DICOM file. Please report it.",
        )
    found.original = data
    found.thumbnail = imaging.thumbnail(image)
    found.mean, found.std = grey_level(image)
    found.traces = tuple(imaging.traces(bytes_shown, image))
    if imaging.is_blank(image):
        raise BadImage("blank", f"The image has a single shade (deviation {found.std:.1f}).")


def _other_hash(content: bytes, data: bytes) -> str | None:
    """The sha256 of the landed file, unless its original has the same bytes."""
    return hashlib.sha256(content).hexdigest() if content != data else None


def _refuse_oversized(content: bytes, rest: BinaryIO, *, limits: Limits, found: Examined) -> None:
    """Refuse a file that is too large without loading it; hash it block by block."""
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

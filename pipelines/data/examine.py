"""Opening one landed file: what it holds, and whether it can be used."""

import hashlib
from pathlib import Path

from pydantic import BaseModel, ConfigDict

from pipelines import imaging
from pipelines.data.deidentify import is_dicom, may_be_dicom, patient_of
from pipelines.data.originals import read_original
from pipelines.data.pseudonyms import Pseudonyms
from pipelines.errors import BadImage
from pipelines.imaging import Limits
from pipelines.imaging.shades import grey_level
from pipelines.spec import LimitsSpec

HEAD_BYTES = 132
BLOCK_BYTES = 1 << 20
MEGABYTE = 1 << 20


class Examined(BaseModel):
    """What opening a file has shown. The fields are columns of `pipelines.outputs.Landing`."""

    model_config = ConfigDict(ser_json_bytes="base64", val_json_bytes="base64")

    sha256: str | None = None
    size: int | None = None
    """In bytes; the column ``bytes``."""
    format: str | None = None
    width: int | None = None
    height: int | None = None
    mode: str | None = None
    bits: int | None = None
    notes: list[str] = []
    phash: str | None = None
    thumbnail: bytes | None = None
    mean: float | None = None
    std: float | None = None
    reason: str | None = None
    message: str | None = None
    dicom: bool = False
    """Whether its name may be a patient's."""
    patient: str | None = None
    """Pseudonym of whom a DICOM file shows."""


def limits_of(spec: LimitsSpec) -> Limits:
    """The spec's limits in bytes and pixels."""
    return Limits(
        max_bytes=int(spec.max_megabytes * MEGABYTE),
        max_pixels=int(spec.max_megapixels * 1e6),
        min_side=spec.min_side,
    )


def examine(path: Path, names: Pseudonyms, *, limits: Limits) -> Examined:
    """Open a file; never raises for what is wrong with it, but tells it in ``reason``."""
    found = Examined()
    try:
        _examine(path, names, limits, found)
    except BadImage as error:
        found.reason, found.message = error.reason, str(error)
    return found


def _examine(path: Path, names: Pseudonyms, limits: Limits, found: Examined) -> None:
    """Fill ``found`` in, as far as the file allows."""
    found.dicom = may_be_dicom(path.name, _head(path))
    _refuse_oversized(path, limits, found)
    data = read_original(path, names)
    found.sha256, found.size = hashlib.sha256(data).hexdigest(), len(data)
    info = imaging.inspect(data, limits=limits)
    found.format, found.mode, found.bits = info.format, info.mode, info.bits
    found.width, found.height, found.notes = info.width, info.height, info.notes
    if is_dicom(data):
        found.patient = patient_of(data)
    picture = imaging.decode(data, limits=limits)
    found.phash = f"{imaging.phash(picture):016x}"
    found.thumbnail = imaging.thumbnail(picture)
    found.mean, found.std = grey_level(picture)
    if imaging.is_blank(picture):
        raise BadImage("blank", f"The picture is one shade all over (deviation {found.std:.1f}).")


def _head(path: Path) -> bytes:
    if not path.is_file():
        return b""
    try:
        with path.open("rb") as file:
            return file.read(HEAD_BYTES)
    except OSError:
        return b""


def _refuse_oversized(path: Path, limits: Limits, found: Examined) -> None:
    """Refuse a file before it fills the memory; its hash is taken block by block."""
    size = path.stat().st_size if path.is_file() else 0
    if size <= limits.max_bytes:
        return
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(BLOCK_BYTES):
            digest.update(block)
    found.sha256, found.size = digest.hexdigest(), size
    raise BadImage(
        "too_large",
        f"The file has {size / MEGABYTE:,.1f} MB; the limit is {limits.max_bytes / MEGABYTE:g} MB.",
    )

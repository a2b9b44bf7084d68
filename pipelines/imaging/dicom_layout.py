"""How a DICOM file says its pixels are stored (PS3.3, C.7.6.3), checked before any is read."""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset

from pipelines.imaging.reasons import refuse

GREY = ("MONOCHROME1", "MONOCHROME2")
COLOUR = ("RGB", "YBR_FULL", "YBR_FULL_422", "YBR_ICT", "YBR_RCT")
PALETTE = "PALETTE COLOR"
READ = (*GREY, PALETTE, *COLOUR)


@dataclass(frozen=True)
class Layout:
    """The pixel description of one file."""

    rows: int
    columns: int
    samples: int
    photometric: str
    allocated: int
    """Bits of a stored word, 8 or 16."""
    stored: int
    """Bits in use."""
    high: int
    """The highest bit in use."""
    signed: bool
    planar: bool
    frames: int
    """As declared; at least 1."""

    @property
    def shift(self) -> int:
        """Bits below those in use."""
        return self.high + 1 - self.stored

    @property
    def mask(self) -> int:
        """The bits in use."""
        return ((1 << self.stored) - 1) << self.shift

    @property
    def values(self) -> int:
        """Samples of one frame as it is stored uncompressed."""
        halved = self.photometric == "YBR_FULL_422"
        return self.rows * self.columns * (2 if halved else self.samples)

    @property
    def frame_bytes(self) -> int:
        """Bytes of one uncompressed frame."""
        return self.values * self.allocated // 8

    def used(self, words: NDArray[Any], bits: int | None = None) -> NDArray[Any]:
        """The values in words of the file: bits not in use dropped, signs extended.

        Args:
            words: unsigned.
            bits: bits in use, where the compressed stream has fewer.
        """
        bits = bits or self.stored
        values = (words >> self.shift) & ((1 << bits) - 1)
        if not self.signed:
            return values
        sign = 1 << (bits - 1)
        return (values.astype(np.int32) ^ sign) - sign


def layout_of(dataset: Dataset) -> Layout:
    """Read and check the description of the pixels.

    Raises:
        BadImage: an element is missing, impossible (``corrupt``) or not read (``unsupported``);
            the message names it.
    """
    photometric = str(dataset.get("PhotometricInterpretation") or "").strip().upper()
    if photometric not in READ:
        raise refuse(
            "unsupported",
            f"PhotometricInterpretation (0028,0004) is {photometric[:20]!r}; read are "
            f"{', '.join(READ)}.",
        )
    colour = photometric in COLOUR
    allocated = whole(dataset, "BitsAllocated")
    if allocated not in (8, 16):
        raise refuse(
            "unsupported", f"BitsAllocated (0028,0100) is {allocated}; 8 and 16 bits are read."
        )
    stored = whole(dataset, "BitsStored", default=allocated)
    high = whole(dataset, "HighBit", default=stored - 1)
    _require(1 <= stored <= allocated, "BitsStored", "(0028,0101)", stored)
    _require(stored - 1 <= high < allocated, "HighBit", "(0028,0102)", high)
    samples = whole(dataset, "SamplesPerPixel", default=3 if colour else 1)
    _require(samples == (3 if colour else 1), "SamplesPerPixel", "(0028,0002)", samples)
    signed = whole(dataset, "PixelRepresentation", default=0)
    _require(signed in (0, 1), "PixelRepresentation", "(0028,0103)", signed)
    planar = whole(dataset, "PlanarConfiguration", default=0)
    _require(planar in (0, 1), "PlanarConfiguration", "(0028,0006)", planar)
    if colour and (signed or stored < 8):
        raise refuse(
            "unsupported",
            "Colour with signed samples (PixelRepresentation) or less than 8 BitsStored is not "
            "read.",
        )
    rows, columns = whole(dataset, "Rows"), whole(dataset, "Columns")
    _require(rows > 0, "Rows", "(0028,0010)", rows)
    _require(columns > 0, "Columns", "(0028,0011)", columns)
    if photometric == "YBR_FULL_422" and allocated != 8:
        raise refuse("unsupported", "YBR_FULL_422 is read with 8 BitsAllocated only.")
    return Layout(
        rows=rows,
        columns=columns,
        samples=samples,
        photometric=photometric,
        allocated=allocated,
        stored=stored,
        high=high,
        signed=bool(signed),
        planar=bool(planar),
        frames=max(1, whole(dataset, "NumberOfFrames", default=1)),
    )


def whole(dataset: Dataset, keyword: str, *, default: int | None = None) -> int:
    """A whole number of the header; the default where it is missing or empty.

    Raises:
        BadImage: it is missing without a default, or is not a whole number (``corrupt``).
    """
    value = number(dataset, keyword)
    if value is None and default is not None:
        return default
    if value is None or not math.isfinite(value) or value != int(value):
        said = "missing" if value is None else "not a whole number"
        raise refuse("corrupt", f"{keyword} is {said} in the DICOM header.")
    return int(value)


def number(dataset: Dataset, keyword: str) -> float | None:
    """A number of the header, the first of several; ``None`` where it is missing or empty.

    Raises:
        BadImage: it is not a number (``corrupt``).
    """
    if keyword not in dataset:
        return None
    try:
        value = dataset[keyword].value
        if isinstance(value, bytes):
            value = value.decode("ascii")
        if isinstance(value, str):
            value = value.strip(" \0") or None
        elif value is not None and hasattr(value, "__len__"):
            value = value[0] if len(value) else None
        return None if value is None or value == "" else float(value)
    except Exception as error:  # pydicom promises no type for values that are not numbers
        raise refuse("corrupt", f"{keyword} in the DICOM header is not a number.") from error


def _require(holds: bool, keyword: str, tag: str, value: int) -> None:
    if not holds:
        raise refuse(
            "corrupt",
            f"{keyword} {tag} is {value}, which contradicts the rest of the DICOM header.",
        )

"""The bytes of a DICOM file to the elements that are wanted of it, in bounded time and memory."""

import io
import logging
import warnings
import zlib
from collections.abc import Iterable
from typing import Any

import pydicom
from pydicom.dataset import Dataset
from pydicom.filereader import read_dataset, read_sequence
from pydicom.uid import UID, DeflatedExplicitVRLittleEndian, ExplicitVRBigEndian

from pipelines.imaging.dicom_elements import tags
from pipelines.imaging.reasons import refuse
from pipelines.imaging.sniff import DICOM_MARK, MARK_END

MOST_READS = 1_000_000
"""Reads of the parser, two to three an element: more is an attack or a mistake."""
MOST_INFLATED = 128 * 1024 * 1024
PIXEL_DATA = 0x7FE00010
FILE_META_GROUP = 0x0002

# pydicom's warnings quote the values they are about, a patient's name among them
logging.getLogger("pydicom").setLevel(logging.CRITICAL + 1)
warnings.filterwarnings("ignore", module=r"pydicom\b")
pydicom.config.settings.reading_validation_mode = pydicom.config.IGNORE


class Bounded(io.BytesIO):
    """Bytes that a parser can read from a limited number of times."""

    reads = 0

    def read(self, size: int | None = -1, /) -> bytes:
        self.reads += 1
        if self.reads > MOST_READS:
            raise refuse(
                "too_large",
                f"The DICOM header has more elements than are read ({MOST_READS:,} reads).",
            )
        return super().read(size)


def read(data: bytes, keywords: tuple[str, ...], *, with_pixels: bool) -> Dataset:
    """Read the wanted elements of a DICOM file.

    Files without preamble, without meta information and without a transfer syntax are read, as
    far as their encoding can be recognised. Deflated files are inflated up to 128 MiB.

    Args:
        data: the file.
        keywords: the elements that are wanted.
        with_pixels: whether to read the pixel data, and what follows it.

    Returns:
        The elements. `syntax_of` and `is_big_endian` know its encoding.

    Raises:
        BadImage: the file has too many elements or inflates to too many bytes (``too_large``).
    """
    source = Bounded(data)
    source.seek(MARK_END if data[128:132] == DICOM_MARK else 0)
    meta = read_dataset(
        source, False, True, stop_when=lambda tag, _vr, _length: tag >> 16 != FILE_META_GROUP
    )
    syntax = UID(str(meta.get("TransferSyntaxUID") or "").strip())
    if syntax == DeflatedExplicitVRLittleEndian:
        source = Bounded(_inflated(source.read()))
    big_endian = syntax == ExplicitVRBigEndian or (
        not syntax and data[source.tell() : source.tell() + 2] == b"\x00\x08"
    )
    dataset = read_dataset(
        source,
        syntax == pydicom.uid.ImplicitVRLittleEndian,
        not big_endian,
        stop_when=None if with_pixels else lambda tag, _vr, _length: tag >= PIXEL_DATA,
        specific_tags=tags(keywords),
    )
    dataset.file_meta = pydicom.dataset.FileMetaDataset()
    if syntax:
        dataset.file_meta.TransferSyntaxUID = syntax
    return dataset


def syntax_of(dataset: Dataset) -> UID | None:
    """The transfer syntax of a data set that `read` made; ``None`` if the file names none."""
    return dataset.file_meta.get("TransferSyntaxUID")


def is_big_endian(dataset: Dataset) -> bool:
    """Whether the words of a data set that `read` made have their high byte first."""
    return dataset.original_encoding[1] is False


def items(dataset: Dataset, keyword: str) -> list[Dataset]:
    """The items of a sequence; none if it is missing or empty."""
    if keyword not in dataset:
        return []
    element: Any = dataset.get_item(keyword)
    if not isinstance(element, pydicom.dataelem.RawDataElement):
        return list(element.value or [])
    if not element.value:
        return []
    implicit, little = element.is_implicit_VR, element.is_little_endian
    source = Bounded(element.value)
    return list(read_sequence(source, implicit, little, len(element.value), "iso8859"))


def only(source: Dataset, keywords: Iterable[str]) -> Dataset:
    """The listed elements of a data set."""
    kept = Dataset()
    for tag in tags(tuple(keywords)):
        if tag in source:
            kept.add(source[tag])
    return kept


def _inflated(deflated: bytes) -> bytes:
    """PS3.5, A.5: all that follows the meta information, as a raw deflate stream."""
    inflater = zlib.decompressobj(-zlib.MAX_WBITS)
    try:
        inflated = inflater.decompress(deflated, MOST_INFLATED)
    except zlib.error as error:
        raise refuse("corrupt", "The deflated DICOM file cannot be inflated.") from error
    if inflater.unconsumed_tail:
        raise refuse(
            "too_large",
            f"The deflated DICOM file holds more than {MOST_INFLATED // 2**20} MiB; save it "
            "uncompressed.",
        )
    if not inflater.eof:
        raise refuse("truncated", "The deflated DICOM file is cut off.")
    return inflated

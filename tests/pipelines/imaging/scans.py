"""Small DICOM files, made by the tests that need them."""

import io
from typing import Any

import numpy as np
import pydicom
from numpy.typing import NDArray
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.encaps import encapsulate
from pydicom.uid import (
    ExplicitVRLittleEndian,
    JPEGBaseline8Bit,
    RLELossless,
    SecondaryCaptureImageStorage,
)


def scan_of(
    stored: NDArray[Any], *, syntax: str = ExplicitVRLittleEndian, **elements: Any
) -> bytes:
    """A DICOM file.

    Args:
        stored: the values, (rows, columns) or (rows, columns, 3), as they are to be stored.
        syntax: transfer syntax of the file.
        elements: further elements by keyword; ``None`` leaves one out.
    """
    dataset = header_of(stored, **elements)
    dataset.PixelData = stored.tobytes()
    return written(dataset, syntax)


def header_of(stored: NDArray[Any], **elements: Any) -> Dataset:
    """The elements of a file of ``stored``, without its pixels."""
    dataset = Dataset()
    dataset.SOPClassUID, dataset.SOPInstanceUID = SecondaryCaptureImageStorage, "2.25.1"
    dataset.Modality, dataset.PatientName, dataset.PatientID = "MR", "Doe^Jane", "4711"
    dataset.Rows, dataset.Columns = stored.shape[:2]
    dataset.SamplesPerPixel = 3 if stored.ndim == 3 else 1
    dataset.PhotometricInterpretation = "RGB" if stored.ndim == 3 else "MONOCHROME2"
    if stored.ndim == 3:
        dataset.PlanarConfiguration = 0
    dataset.BitsAllocated = dataset.BitsStored = 8 * stored.itemsize
    dataset.PixelRepresentation = int(stored.dtype.kind == "i")
    for keyword, value in elements.items():
        setattr(dataset, keyword, value)
        if value is None:
            delattr(dataset, keyword)
    if "HighBit" not in elements:
        dataset.HighBit = dataset.BitsStored - 1
    return dataset


def written(dataset: Dataset, syntax: str) -> bytes:
    """A data set as a file."""
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = syntax
    dataset.file_meta.MediaStorageSOPClassUID = dataset.SOPClassUID
    dataset.file_meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID
    target = io.BytesIO()
    pydicom.dcmwrite(target, dataset, enforce_file_format=True)
    return target.getvalue()


def compressed_scan(stored: NDArray[Any], frame: bytes, *, syntax: str, **elements: Any) -> bytes:
    """A file whose picture is ``frame``, compressed already."""
    dataset = header_of(stored, **elements)
    dataset.PixelData = encapsulate([frame])
    dataset["PixelData"].is_undefined_length = True
    return written(dataset, syntax)


def jpeg_scan(stored: NDArray[np.uint8], frame: bytes, **elements: Any) -> bytes:
    """A file whose picture is a JPEG."""
    return compressed_scan(stored, frame, syntax=JPEGBaseline8Bit, **elements)


def rle_scan(stored: NDArray[Any], **elements: Any) -> bytes:
    """A file with run-length coded pixels."""
    dataset = pydicom.dcmread(io.BytesIO(scan_of(stored, **elements)))
    dataset.compress(RLELossless, generate_instance_uid=False)
    target = io.BytesIO()
    dataset.save_as(target)
    return target.getvalue()

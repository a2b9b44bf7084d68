"""Small landing folders, drawn by the tests that need them."""

import io
import os
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
from numpy.typing import NDArray
from PIL import Image
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian, generate_uid

from pipelines.spec import DatasetSpec

CLASSES = ("cat", "dog")
SIDE = 64


def spec(**changes: Any) -> DatasetSpec:
    """Two classes in class folders; near duplicates as calibrated."""
    return DatasetSpec.model_validate(
        {
            "name": "pets",
            "title": "Pets",
            "source": {"origin": "Drawn by a test", "licence": "CC0-1.0", "consent": "Not needed"},
            "classes": [{"name": name, "title": name.title()} for name in CLASSES],
            "duplicates": {"hash_distance": 12, "correlation": 0.94},
            "candidates": [
                {"name": "a", "model": "strided_cnn", "recipe": "scratch", "weights": None}
            ],
        }
        | changes
    )


def drawing(seed: int, *, side: int = SIDE) -> NDArray[np.uint8]:
    """A picture with structure of every size, uint8 (side, side); another seed, another one."""
    from scipy.ndimage import gaussian_filter

    noise = np.random.default_rng(seed)
    layers = [gaussian_filter(noise.normal(size=(side, side)), s) * s for s in (2, 4, 8)]
    picture = sum(layers)
    scaled = (picture - picture.min()) / np.ptp(picture)
    return np.asarray(20 + 200 * scaled, np.uint8)


def png(picture: NDArray[np.uint8]) -> bytes:
    """A picture as a PNG file."""
    file = io.BytesIO()
    Image.fromarray(picture).save(file, "PNG")
    return file.getvalue()


def write(path: Path, data: bytes) -> Path:
    """Write a file, with its folders, that looks as if it had been there for an hour."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    an_hour_ago = path.stat().st_mtime - 3600
    os.utime(path, (an_hour_ago, an_hour_ago))
    return path


def class_folders(folder: Path, *, per_class: int = 4, first: int = 0) -> Path:
    """``cat/000.png`` …, ``dog/000.png`` …, every picture another."""
    for offset, name in enumerate(CLASSES):
        for number in range(first, first + per_class):
            write(folder / name / f"{number:03}.png", png(drawing(1000 * offset + number)))
    return folder


def dicom(seed: int, **elements: Any) -> bytes:
    """A DICOM file full of the patient's particulars."""
    meta = FileMetaDataset()
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    meta.MediaStorageSOPClassUID = "1.2.840.10008.5.1.4.1.1.4"
    meta.MediaStorageSOPInstanceUID = generate_uid(entropy_srcs=[str(seed)])
    file = Dataset()
    file.file_meta = meta
    file.SOPClassUID, file.SOPInstanceUID = (
        meta.MediaStorageSOPClassUID,
        meta.MediaStorageSOPInstanceUID,
    )
    file.StudyInstanceUID = generate_uid(entropy_srcs=["study"])
    file.Modality = "MR"
    file.PatientName = "Doe^Jane"
    file.PatientID = "SECRET-4711"
    file.PatientBirthDate = "19700101"
    file.InstitutionName = "Doe Memorial"
    file.ReferringPhysicianName = "Doe^Doctor"
    file.ImageComments = "Jane Doe, called on Monday"
    file.add(pydicom.DataElement(0x60000010, "US", SIDE))
    file.add(pydicom.DataElement(0x60003000, "OW", b"Doe^"))
    file.private_block(0x0009, "DOE PRIVATE", create=True).add_new(0x01, "LO", "Doe^Jane")
    referenced = Dataset()
    referenced.PatientID = "SECRET-4711"
    file.ReferencedPatientSequence = [referenced]
    file.Rows = file.Columns = SIDE
    file.SamplesPerPixel, file.PhotometricInterpretation = 1, "MONOCHROME2"
    file.BitsAllocated = file.BitsStored = 16
    file.HighBit, file.PixelRepresentation = 15, 0
    file.WindowCenter, file.WindowWidth = "120", "240"
    file.PixelData = drawing(seed).astype("<u2").tobytes()
    for keyword, value in elements.items():
        setattr(file, keyword, value)
    target = io.BytesIO()
    pydicom.dcmwrite(target, file, enforce_file_format=True)
    return target.getvalue()

"""Other people's DICOM readers and encoders, to compare with: GDCM and DicomSDL."""

import io
from pathlib import Path
from typing import Any

import dicomsdl
import gdcm
import numpy as np
import pydicom
from numpy.typing import NDArray


def by_gdcm(file: bytes, folder: Path) -> NDArray[Any]:
    """Stored values as GDCM reads them, (rows, columns) or (rows, columns, 3).

    Raises:
        ValueError: it does not read the file.
    """
    path = folder / "gdcm.dcm"
    path.write_bytes(file)
    reader = gdcm.ImageReader()
    reader.SetFileName(str(path))
    if not reader.Read():
        raise ValueError("GDCM does not read this file")
    image = reader.GetImage()
    pixel = image.GetPixelFormat()
    raw = image.GetBuffer().encode("utf-8", "surrogateescape")
    kind = "i" if pixel.GetPixelRepresentation() else "u"
    values = np.frombuffer(raw, f"<{kind}{pixel.GetBitsAllocated() // 8}")
    columns, rows = image.GetDimension(0), image.GetDimension(1)
    if pixel.GetSamplesPerPixel() == 1:
        return values.reshape(rows, columns)
    if image.GetPlanarConfiguration():
        return values.reshape(3, rows, columns).transpose(1, 2, 0)
    return values.reshape(rows, columns, 3)


def by_dicomsdl(file: bytes) -> NDArray[Any]:
    """Stored values as DicomSDL reads them.

    Raises:
        dicomsdl.DicomException: it does not read the file.
    """
    read: NDArray[Any] = dicomsdl.open_memory(file).pixelData(storedvalue=True)
    return read


def transcoded(file: bytes, syntax: str, folder: Path) -> bytes:
    """The file with its pixels compressed by GDCM.

    Args:
        file: with uncompressed pixels.
        syntax: name in ``gdcm.TransferSyntax``.
        folder: to work in.
    """
    before, after = folder / "before.dcm", folder / "after.dcm"
    before.write_bytes(file)
    reader = gdcm.ImageReader()
    reader.SetFileName(str(before))
    assert reader.Read()
    change = gdcm.ImageChangeTransferSyntax()
    change.SetTransferSyntax(gdcm.TransferSyntax(getattr(gdcm.TransferSyntax, syntax)))
    change.SetInput(reader.GetImage())
    assert change.Change()
    writer = gdcm.ImageWriter()
    writer.SetFile(reader.GetFile())
    writer.SetImage(change.GetOutput())
    writer.SetFileName(str(after))
    assert writer.Write()
    # GDCM's writer normalises the header: the original one, with the compressed pixels, is wanted
    dataset, compressed = pydicom.dcmread(io.BytesIO(file)), pydicom.dcmread(after)
    dataset.PixelData = compressed.PixelData
    dataset["PixelData"].VR, dataset["PixelData"].is_undefined_length = "OB", True
    dataset.file_meta.TransferSyntaxUID = compressed.file_meta.TransferSyntaxUID
    if "PlanarConfiguration" in dataset:
        dataset.PlanarConfiguration = compressed.get("PlanarConfiguration", 0)
    if compressed.PhotometricInterpretation.startswith("YBR"):
        dataset.PhotometricInterpretation = compressed.PhotometricInterpretation
    target = io.BytesIO()
    dataset.save_as(target)
    return target.getvalue()

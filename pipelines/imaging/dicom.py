"""Single-frame DICOM (PS3.3, PS3.5), read by pydicom and shown as a viewer would."""

import io

import numpy as np
from numpy.typing import NDArray
from pydicom import Dataset, dcmread
from pydicom.pixels import apply_color_lut, apply_modality_lut, apply_voi, pixel_array

from pipelines.imaging.depth import stretch, to_shades
from pipelines.imaging.info import Format, ImageInfo
from pipelines.imaging.reasons import refuse

GREY = ("MONOCHROME1", "MONOCHROME2")


def inspect(data: bytes, format: Format = "DICOM") -> ImageInfo:
    """What the header says; see `pipelines.imaging.inspect`."""
    header = dcmread(io.BytesIO(data), stop_before_pixels=True)
    if "Rows" not in header or "Columns" not in header:
        kind = header.get("Modality") or "unknown kind"
        raise refuse("no_pixels", f"This DICOM file ({kind}) has no rows and columns: no image.")
    return ImageInfo(
        format=format,
        width=int(header.Columns),
        height=int(header.Rows),
        mode=str(header.get("PhotometricInterpretation", "")),
        channels=int(header.get("SamplesPerPixel", 1)),
        bits=int(header.get("BitsStored", header.get("BitsAllocated", 8))),
        frames=int(header.get("NumberOfFrames") or 1),
    )


def pixels(data: bytes, info: ImageInfo) -> NDArray[np.uint8]:
    """The picture, uint8 (height, width, 3); see `pipelines.imaging.decode`."""
    if info.frames > 1:
        raise refuse(
            "multi_frame",
            f"This DICOM file holds {info.frames} frames; land the ones to use as single files.",
        )
    dataset = dcmread(io.BytesIO(data))
    stored: NDArray[np.generic] = pixel_array(dataset)
    if info.mode in GREY:
        shades = _grey(stored, dataset)
        return np.repeat(shades[..., None], 3, axis=2)
    if info.mode == "PALETTE COLOR":
        stored = apply_color_lut(stored, dataset)
    if stored.dtype != np.uint8:
        stored = stored.astype(np.uint16) >> 8
    return stored.astype(np.uint8)


def _grey(stored: NDArray[np.generic], dataset: Dataset) -> NDArray[np.uint8]:
    """Stored values → modality values → the window's shades (PS3.3, C.11.1, C.11.2)."""
    values = apply_modality_lut(stored, dataset)
    if "WindowCenter" in dataset and "WindowWidth" in dataset:
        center, width = _first(dataset.WindowCenter), _first(dataset.WindowWidth)
        shades = to_shades(values, center - width / 2, center + width / 2)
    elif "VOILUTSequence" in dataset:
        shades = stretch(apply_voi(stored, dataset))
    elif stored.dtype == np.uint8 and values is stored:
        shades = stored
    else:
        shades = stretch(values)
    return 255 - shades if dataset.PhotometricInterpretation == "MONOCHROME1" else shades


def _first(value: object) -> float:
    return float(value[0] if hasattr(value, "__getitem__") else value)  # type: ignore[arg-type]

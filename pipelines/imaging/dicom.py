"""Single-frame DICOM (PS3.3, PS3.5), read by pydicom and shown as a viewer would."""

import io
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from pydicom import Dataset, dcmread
from pydicom.encaps import get_frame
from pydicom.pixels import apply_color_lut, apply_modality_lut, apply_voi, pixel_array
from pydicom.uid import (
    JPEG2000,
    UID,
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGBaseline8Bit,
    RLELossless,
)

from pipelines.imaging.depth import own_range, to_shades
from pipelines.imaging.info import Format, ImageInfo
from pipelines.imaging.reasons import refuse
from pipelines.imaging.window import window

GREY = ("MONOCHROME1", "MONOCHROME2")
COLOUR = ("RGB", "PALETTE COLOR", "YBR_FULL", "YBR_FULL_422", "YBR_ICT", "YBR_RCT")
UNCOMPRESSED = (ImplicitVRLittleEndian, ExplicitVRLittleEndian, ExplicitVRBigEndian)
JPEG = (JPEGBaseline8Bit, JPEG2000, JPEG2000Lossless)


def inspect(data: bytes, format: Format = "DICOM") -> ImageInfo:
    """What the header says; see `pipelines.imaging.inspect`."""
    header = _read(data, stop_before_pixels=True)
    if not len(header):
        raise refuse("corrupt", "The DICOM file has its mark, but nothing readable after it.")
    if "Rows" not in header or "Columns" not in header:
        kind = header.get("Modality") or "of unknown kind"
        raise refuse("no_pixels", f"This DICOM file ({kind}) has no rows and columns: no image.")
    return ImageInfo(
        format=format,
        width=int(header.Columns),
        height=int(header.Rows),
        mode=str(header.get("PhotometricInterpretation", "")),
        channels=int(header.get("SamplesPerPixel", 1)),
        bits=int(header.get("BitsStored", header.get("BitsAllocated", 8))),
        frames=int(header.get("NumberOfFrames") or 1),
        notes=_notes(header),
    )


def pixels(data: bytes, info: ImageInfo) -> NDArray[np.uint8]:
    """The picture, uint8 (height, width, 3); see `pipelines.imaging.decode`."""
    if info.frames > 1:
        raise refuse(
            "multi_frame",
            f"This DICOM file holds {info.frames} frames; land the ones to use as single files.",
        )
    dataset = _read(data, stop_before_pixels=False)
    _require_readable(dataset, info)
    stored: NDArray[Any] = pixel_array(dataset)
    if info.mode in GREY:
        return np.repeat(_grey(stored, dataset)[..., None], 3, axis=2)
    if info.mode == "PALETTE COLOR":
        stored = apply_color_lut(stored, dataset)
    return stored.astype(np.uint8) if stored.itemsize == 1 else (stored >> 8).astype(np.uint8)


def refuse_deflated(data: bytes) -> None:
    """Refuse what pydicom would inflate as a whole, however large, before anything can be asked.

    Raises:
        BadImage: the DICOM file is deflated (``unsupported``).
    """
    if DeflatedExplicitVRLittleEndian.encode() in data:
        raise refuse("unsupported", "Deflated DICOM is not read; save it uncompressed.")


def _read(data: bytes, *, stop_before_pixels: bool) -> Dataset:
    refuse_deflated(data)
    return dcmread(io.BytesIO(data), stop_before_pixels=stop_before_pixels)


def _require_readable(dataset: Dataset, info: ImageInfo) -> None:
    syntax = dataset.file_meta.TransferSyntaxUID
    if "PixelData" not in dataset:
        if "FloatPixelData" in dataset or "DoubleFloatPixelData" in dataset:
            raise refuse("unsupported", "Floating-point DICOM pixels are not read.")
        raise refuse("truncated", "The DICOM file ends before its pixels.")
    if info.mode not in GREY + COLOUR or dataset.BitsAllocated not in (8, 16):
        raise refuse(
            "unsupported",
            f"DICOM pixels of kind {info.mode!r} with {dataset.BitsAllocated} bits are not read; "
            f"read are {', '.join(GREY + COLOUR)} with 8 or 16.",
        )
    if syntax in JPEG:
        _require_same_size(dataset, info)
    elif syntax == RLELossless:
        _require_plausible_length(dataset)
    elif syntax not in UNCOMPRESSED:
        raise refuse(
            "unsupported",
            f"DICOM pixels compressed as {UID(syntax).name} are not read; read are uncompressed, "
            "RLE, JPEG baseline and JPEG 2000.",
        )


def _require_same_size(dataset: Dataset, info: ImageInfo) -> None:
    """The limits were checked on what the header says: the compressed picture must agree."""
    frame = get_frame(dataset.PixelData, 0, number_of_frames=1)
    size = Image.open(io.BytesIO(frame), formats=("JPEG", "JPEG2000")).size
    if size != (info.width, info.height):
        raise refuse(
            "corrupt",
            f"The DICOM header says {info.width} x {info.height} pixels, "
            f"the picture inside is {size[0]} x {size[1]}.",
        )


def _require_plausible_length(dataset: Dataset) -> None:
    """RLE can expand 64-fold, but grows a picture by 1/128 and its header at most (PS3.5, G)."""
    whole = dataset.Rows * dataset.Columns * dataset.SamplesPerPixel * dataset.BitsAllocated // 8
    if len(dataset.PixelData) > whole * 1.05 + 1024 + 2 * dataset.Rows * dataset.SamplesPerPixel:
        raise refuse("corrupt", "The compressed DICOM pixels are longer than the picture.")


def _grey(stored: NDArray[Any], dataset: Dataset) -> NDArray[np.uint8]:
    """Stored values → modality values → shades; what is padding is black."""
    padding = stored == dataset.get("PixelPaddingValue", None)
    shades = _shades(stored, padding, dataset)
    if dataset.PhotometricInterpretation == "MONOCHROME1":
        shades = 255 - shades
    return np.where(padding, np.uint8(0), shades)


def _shades(
    stored: NDArray[Any], padding: NDArray[np.bool_], dataset: Dataset
) -> NDArray[np.uint8]:
    """By the file's table, else its window, else its own range (PS3.3, C.11.1 and C.11.2)."""
    values = apply_modality_lut(stored, dataset)
    if table := dataset.get("VOILUTSequence"):
        shown = apply_voi(values.astype(np.int32), dataset)
        return to_shades(shown, 0, 2 ** int(table[0].LUTDescriptor[2]) - 1)
    if chosen := _window(dataset):
        function = str(dataset.get("VOILUTFunction", "LINEAR"))
        return window(values, center=chosen[0], width=chosen[1], function=function)
    if stored.dtype == np.uint8 and dataset.BitsStored == 8:
        return stored
    seen = values[~padding]
    return to_shades(values, *own_range(seen if seen.size else values))


def _window(dataset: Dataset) -> tuple[float, float] | None:
    """Centre and width of the first window; ``None`` without a usable one."""
    center, width = (_first(dataset.get(name)) for name in ("WindowCenter", "WindowWidth"))
    return (center, width) if center is not None and width is not None and width > 0 else None


def _first(value: Any) -> float | None:
    """A value, or the first of several."""
    several = value if isinstance(value, list | tuple) or hasattr(value, "append") else [value]
    return float(several[0]) if several and several[0] is not None else None


def _notes(header: Dataset) -> list[str]:
    notes = []
    if header.get("VOILUTSequence"):
        notes.append("shown by the table in the file")
    elif chosen := _window(header):
        notes.append(f"shown through the window {chosen[0]:g} ± {chosen[1] / 2:g}")
    elif header.get("BitsStored", 8) > 8:
        notes.append(f"{header.BitsStored} bits, scaled by the picture's own range")
    if header.get("PhotometricInterpretation") == "MONOCHROME1":
        notes.append("inverted: stored with high values dark")
    return notes

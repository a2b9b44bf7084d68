"""DICOM images (PS3.3, PS3.5) as a viewer shows them.

pydicom parses the file; everything from the pixel data on is done here, so that it is the same
whatever decoders are installed, and so that an element that is missing or wrong is named.
"""

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset

from pipelines.imaging.dicom_elements import SHOWN
from pipelines.imaging.dicom_file import read
from pipelines.imaging.dicom_layout import COLOUR, GREY, PALETTE, Layout, layout_of
from pipelines.imaging.dicom_pixels import frame_of, values_of
from pipelines.imaging.dicom_shades import notes_of, shades_of, with_frame_groups
from pipelines.imaging.dicom_tables import palette_of
from pipelines.imaging.info import Format, ImageInfo, Limits
from pipelines.imaging.reasons import refuse


def inspect(data: bytes, format: Format = "DICOM") -> ImageInfo:
    """What the header says; see `pipelines.imaging.inspect`."""
    header = read(data, SHOWN, with_pixels=False)
    layout = described(header)
    return ImageInfo(
        format=format,
        width=layout.columns,
        height=layout.rows,
        mode=layout.photometric,
        channels=layout.samples,
        bits=layout.stored,
        frames=layout.frames,
        notes=_notes(header, layout),
    )


def pixels(data: bytes, info: ImageInfo, limits: Limits) -> NDArray[np.uint8]:
    """The image, uint8 (height, width, 3); see `pipelines.imaging.decode`."""
    dataset = read(data, SHOWN, with_pixels=True)
    layout = described(dataset)
    frame = frame_of(dataset, layout, limits.frames)
    values = values_of(frame, dataset, layout)
    if info.mode in COLOUR:
        return values.samples
    if info.mode == PALETTE:
        tables = palette_of(dataset, signed=layout.signed)
        looked_up = [table.of(values.samples) >> (table.bits - 8) for table in tables]
        return np.stack(looked_up, axis=-1).astype(np.uint8)
    shades = shades_of(values, with_frame_groups(dataset, frame.place), layout)
    return np.repeat(shades[..., None], 3, axis=2)


def described(dataset: Dataset) -> Layout:
    """The description of an image's pixels.

    Raises:
        BadImage: it is not an image (``no_pixels``), or see `layout_of`.
    """
    if not len(dataset):
        raise refuse("corrupt", "Nothing in this file can be read as DICOM.")
    if "Rows" not in dataset or "Columns" not in dataset:
        kind = dataset.get("Modality") or "of unknown kind"
        raise refuse("no_pixels", f"This DICOM file ({kind}) has no rows and columns: no image.")
    return layout_of(dataset)


def _notes(header: Dataset, layout: Layout) -> list[str]:
    notes = []
    if layout.photometric in GREY:
        notes = notes_of(with_frame_groups(header, 0), layout)
    elif layout.photometric in COLOUR and layout.stored > 8:
        notes.append(f"{layout.stored} bits a channel, the lower ones dropped")
    if layout.frames > 1:
        notes.append(f"{layout.frames} frames in the file")
    return notes

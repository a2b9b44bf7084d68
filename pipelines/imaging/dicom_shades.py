"""Grey DICOM values to shades: modality scale or table, then VOI table, window or own range
(PS3.3, C.11.1 and C.11.2)."""

import math
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset

from pipelines.imaging.depth import own_range, to_shades
from pipelines.imaging.dicom_elements import FRAME_GROUP, FRAME_GROUPS
from pipelines.imaging.dicom_file import is_big_endian, items
from pipelines.imaging.dicom_layout import Layout, number
from pipelines.imaging.dicom_pixels import Values
from pipelines.imaging.dicom_tables import table_of
from pipelines.imaging.reasons import refuse
from pipelines.imaging.window import window

FUNCTIONS = ("LINEAR", "LINEAR_EXACT", "SIGMOID")


class Scale(NamedTuple):
    """How stored values become those of the modality."""

    slope: float
    intercept: float
    usable: bool
    """False where the file gives a scale that is none (slope 0, not a number): it is ignored."""


class Window(NamedTuple):
    """A window in the modality's unit."""

    center: float
    width: float
    function: str


def with_frame_groups(dataset: Dataset, index: int) -> Dataset:
    """The data set with the functional groups of a frame (Enhanced objects) at its top level.

    What a group says overrides what the top level does.

    Args:
        dataset: as it was read; changed in place.
        index: of the frame, from 0.
    """
    shared, each = (items(dataset, keyword) for keyword in FRAME_GROUPS)
    for groups in (*shared[:1], *each[index : index + 1]):
        for keyword, elements in FRAME_GROUP.items():
            for group in items(groups, keyword)[:1]:
                for element in elements:
                    if element in group:
                        dataset.add(group[element])
    return dataset


def shades_of(values: Values, dataset: Dataset, layout: Layout) -> NDArray[np.uint8]:
    """A grey frame's shades, uint8 (rows, columns); padding is black.

    Raises:
        BadImage: a table or scale is impossible (``corrupt``) or not read (``unsupported``).
    """
    shades = _shades(values, dataset, layout)
    if layout.photometric == "MONOCHROME1":
        shades = 255 - shades
    return shades if values.padding is None else np.where(values.padding, np.uint8(0), shades)


def _shades(values: Values, dataset: Dataset, layout: Layout) -> NDArray[np.uint8]:
    big_endian = is_big_endian(dataset)
    scaled: NDArray[Any]
    scale, chosen = scale_of(dataset), window_of(dataset)
    voi = items(dataset, "VOILUTSequence")
    as_stored = scale.slope > 0
    if tables := items(dataset, "ModalityLUTSequence"):
        table = table_of(
            tables[0], signed=layout.signed, big_endian=big_endian, name="ModalityLUTSequence"
        )
        scaled, as_stored = table.of(values.samples), False
    elif (scale.slope, scale.intercept) == (1, 0):
        scaled = values.samples
    else:
        scaled = values.samples * scale.slope + scale.intercept
    if (voi or chosen) and not scale.usable and not tables:
        raise refuse(
            "corrupt",
            "RescaleSlope (0028,1053) or RescaleIntercept (0028,1052) is not usable, so the "
            "file's window cannot be applied.",
        )
    if voi:
        whole = np.rint(scaled)
        table = table_of(
            voi[0], signed=bool(whole.min() < 0), big_endian=big_endian, name="VOILUTSequence"
        )
        return to_shades(table.of(whole), 0, (1 << table.bits) - 1)
    if chosen:
        return window(scaled, center=chosen.center, width=chosen.width, function=chosen.function)
    if values.bits == 8 and layout.stored == 8 and not layout.signed and as_stored:
        return values.samples.astype(np.uint8)
    seen = scaled if values.padding is None else scaled[~values.padding]
    return to_shades(scaled, *own_range(seen if seen.size else scaled))


def scale_of(dataset: Dataset) -> Scale:
    """Slope and intercept; 1 and 0 where they are missing, empty or not usable."""
    slope, intercept = number(dataset, "RescaleSlope"), number(dataset, "RescaleIntercept")
    slope = 1.0 if slope is None else slope
    intercept = 0.0 if intercept is None else intercept
    if slope == 0 or not math.isfinite(slope) or not math.isfinite(intercept):
        return Scale(1.0, 0.0, usable=False)
    return Scale(slope, intercept, usable=True)


def window_of(dataset: Dataset) -> Window | None:
    """The first window; ``None`` without a usable one.

    Raises:
        BadImage: its function is not known (``unsupported``).
    """
    center, width = number(dataset, "WindowCenter"), number(dataset, "WindowWidth")
    if center is None or width is None or not (math.isfinite(center) and math.isfinite(width)):
        return None
    if width <= 0:
        return None
    function = str(dataset.get("VOILUTFunction") or "LINEAR").strip().upper()
    if function not in FUNCTIONS:
        raise refuse(
            "unsupported",
            f"VOILUTFunction (0028,1056) is {function[:20]!r}; read are {', '.join(FUNCTIONS)}.",
        )
    return Window(center, width, function)


def notes_of(dataset: Dataset, layout: Layout) -> list[str]:
    """What a person should know of how a grey image is shown."""
    notes = []
    if items(dataset, "VOILUTSequence"):
        notes.append("shown by the table in the file")
    elif chosen := window_of(dataset):
        notes.append(f"shown through the window {chosen.center:g} ± {chosen.width / 2:g}")
    elif layout.stored != 8:
        notes.append(f"{layout.stored} bits, scaled by the picture's own range")
    if number(dataset, "WindowCenter") is not None and not window_of(dataset):
        notes.append("the file's window is not usable")
    if not scale_of(dataset).usable:
        notes.append("the file's rescale slope or intercept is not usable")
    if layout.photometric == "MONOCHROME1":
        notes.append("inverted: stored with high values dark")
    return notes

"""What both gates on originals expect of a single image."""

from typing import TYPE_CHECKING, Any, get_args

from pipelines.imaging import Format
from pipelines.spec import DatasetSpec

if TYPE_CHECKING:
    from great_expectations.expectations import Expectation

FORMATS = get_args(Format)
MODES = (
    *("1", "L", "LA", "La", "P", "PA", "RGB", "RGBA", "RGBa", "CMYK", "YCbCr"),
    *("I", "I;16", "I;16L", "I;16B"),
    *("MONOCHROME1", "MONOCHROME2", "PALETTE COLOR"),
    *("YBR_FULL", "YBR_FULL_422", "YBR_PARTIAL_420", "YBR_ICT", "YBR_RCT"),
)
"""Kinds of pixel that are read: Pillow's words, then DICOM's."""
MOST_BITS = 16


def image_expectations(spec: DatasetSpec, *, rows: Any) -> "list[Expectation]":
    """Label, kind, size and hash of every image.

    Args:
        spec: gives classes and limits.
        rows: the condition under which a row of the table is an image to judge; ``None`` for all.
    """
    import great_expectations.expectations as gxe

    limits, classes = spec.limits, ", ".join(spec.class_names)
    return [
        gxe.ExpectColumnValuesToNotBeNull(
            column="label", row_condition=rows, description="Every image has a label"
        ),
        gxe.ExpectColumnValuesToBeInSet(
            column="label",
            value_set=list(spec.class_names),
            row_condition=rows,
            description=f"Every label is a class of the spec ({classes})",
        ),
        gxe.ExpectColumnValuesToBeInSet(
            column="format",
            value_set=list(FORMATS),
            row_condition=rows,
            description=f"Every image is of a format that is read ({', '.join(FORMATS)})",
        ),
        gxe.ExpectColumnValuesToBeInSet(
            column="mode",
            value_set=list(MODES),
            row_condition=rows,
            description=f"Every image is of a mode that is read ({', '.join(MODES)})",
        ),
        gxe.ExpectColumnValuesToBeBetween(
            column="bits",
            min_value=1,
            max_value=MOST_BITS,
            row_condition=rows,
            description=f"Every image has 1 to {MOST_BITS} bits a channel",
        ),
        gxe.ExpectColumnValuesToBeBetween(
            column="shorter_side",
            min_value=limits.min_side,
            row_condition=rows,
            description=f"Every image has at least {limits.min_side} pixels on each side",
        ),
        gxe.ExpectColumnValuesToBeBetween(
            column="megapixels",
            max_value=limits.max_megapixels,
            row_condition=rows,
            description=f"Every image has at most {limits.max_megapixels:g} megapixels",
        ),
        gxe.ExpectColumnValuesToBeBetween(
            column="megabytes",
            max_value=limits.max_megabytes,
            row_condition=rows,
            description=f"Every file has at most {limits.max_megabytes:g} MB",
        ),
        gxe.ExpectColumnValuesToMatchRegex(
            column="sha256",
            regex="^[0-9a-f]{64}$",
            row_condition=rows,
            description="Every image is named by its sha256",
        ),
    ]

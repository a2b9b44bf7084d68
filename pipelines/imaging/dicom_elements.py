"""The elements of a DICOM file that its image is drawn from.

The decoder reads no others, and de-identification keeps all of these. So what is stored shows
what was landed, and nothing outside this list can change an image.
"""

from pydicom.datadict import tag_for_keyword

IMAGE = (
    "SOPClassUID",
    "Modality",
    "SamplesPerPixel",
    "PhotometricInterpretation",
    "PlanarConfiguration",
    "NumberOfFrames",
    "RepresentativeFrameNumber",
    "Rows",
    "Columns",
    "BitsAllocated",
    "BitsStored",
    "HighBit",
    "PixelRepresentation",
    "PixelPaddingValue",
    "PixelPaddingRangeLimit",
    "WindowCenter",
    "WindowWidth",
    "VOILUTFunction",
    "RescaleIntercept",
    "RescaleSlope",
    "RescaleType",
    "PixelData",
)
PALETTE = tuple(
    f"{prefix}{colour}PaletteColorLookupTable{part}"
    for colour in ("Red", "Green", "Blue")
    for prefix, part in (("", "Descriptor"), ("", "Data"), ("Segmented", "Data"))
)
TABLES = ("ModalityLUTSequence", "VOILUTSequence")
TABLE = ("LUTDescriptor", "ModalityLUTType", "LUTData")
FRAME_GROUPS = ("SharedFunctionalGroupsSequence", "PerFrameFunctionalGroupsSequence")
"""In Enhanced objects, rescaling and window are in here."""
FRAME_GROUP = {
    "PixelValueTransformationSequence": ("RescaleIntercept", "RescaleSlope", "RescaleType"),
    "FrameVOILUTSequence": ("WindowCenter", "WindowWidth", "VOILUTFunction"),
}
FLOATING = ("FloatPixelData", "DoubleFloatPixelData")


def tags(keywords: tuple[str, ...]) -> list[int]:
    """The tags of elements."""
    return [int(str(tag_for_keyword(keyword))) for keyword in keywords]


SHOWN = (*IMAGE, *PALETTE, *TABLES, *FRAME_GROUPS, *FLOATING)

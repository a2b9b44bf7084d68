"""DICOM files without the patient: what of them may enter the store.

Of a DICOM file only the elements listed here are kept: those that the picture is drawn from, and
the technique it was taken with. Everything else goes: every name, date, place, free text,
overlay and private element, whether somebody thought of it or not. That is stricter than the
Basic Application Level Confidentiality Profile (PS3.15, table E.1-1), which lists what to
remove. Patient and UIDs are replaced by pseudonyms, so that what belongs together still does.

Text burnt into the picture cannot be found this way: a file that declares it is refused.
"""

import io
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

import pydicom
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import UID

from pipelines.data.pseudonyms import Pseudonyms
from pipelines.errors import BadImage
from pipelines.imaging.dicom import refuse_deflated
from pipelines.imaging.sniff import sniff

SUFFIXES = (".dcm", ".dicom", ".dic", ".ima")
OURS = UID("2.25.170938462750183645209384756102938475")
"""Implementation class UID of the files written here; fixed, so that their bytes are too."""

PICTURE = frozenset(
    [
        "SOPClassUID",
        "Modality",
        "SamplesPerPixel",
        "PhotometricInterpretation",
        "PlanarConfiguration",
        "NumberOfFrames",
        "Rows",
        "Columns",
        "PixelAspectRatio",
        "BitsAllocated",
        "BitsStored",
        "HighBit",
        "PixelRepresentation",
        "SmallestImagePixelValue",
        "LargestImagePixelValue",
        "PixelPaddingValue",
        "PixelPaddingRangeLimit",
        "RedPaletteColorLookupTableDescriptor",
        "GreenPaletteColorLookupTableDescriptor",
        "BluePaletteColorLookupTableDescriptor",
        "RedPaletteColorLookupTableData",
        "GreenPaletteColorLookupTableData",
        "BluePaletteColorLookupTableData",
        "WindowCenter",
        "WindowWidth",
        "VOILUTFunction",
        "RescaleIntercept",
        "RescaleSlope",
        "RescaleType",
        "PresentationLUTShape",
        "LossyImageCompression",
        "LossyImageCompressionRatio",
        "LossyImageCompressionMethod",
        "BurnedInAnnotation",
        "PixelData",
    ]
)
TECHNIQUE = frozenset(
    [
        "ScanningSequence",
        "SequenceVariant",
        "MRAcquisitionType",
        "SliceThickness",
        "SpacingBetweenSlices",
        "KVP",
        "RepetitionTime",
        "EchoTime",
        "InversionTime",
        "FlipAngle",
        "MagneticFieldStrength",
        "ImagedNucleus",
        "PixelSpacing",
        "ImagerPixelSpacing",
        "ImageOrientationPatient",
        "ImagePositionPatient",
        "SliceLocation",
        "Laterality",
        "ImageLaterality",
        "ViewPosition",
        "PatientOrientation",
    ]
)
LOOKUP_TABLES = ("ModalityLUTSequence", "VOILUTSequence")
LOOKUP_TABLE = frozenset(["LUTDescriptor", "ModalityLUTType", "LUTData"])
PSEUDONYMISED_UIDS = (
    "SOPInstanceUID",
    "StudyInstanceUID",
    "SeriesInstanceUID",
    "FrameOfReferenceUID",
)


def may_be_dicom(name: str, data: bytes) -> bool:
    """Whether a file is DICOM, or claims to be: then its bytes may name a patient.

    Content decides before the name: a JPEG called ``x.dcm`` is a JPEG.
    """
    if is_dicom(data):
        return True
    begins_with_tag = data[:4] in (b"\x02\x00\x00\x00", b"\x08\x00\x00\x00", b"\x08\x00\x05\x00")
    return begins_with_tag or (name.lower().endswith(SUFFIXES) and not _is_another_image(data))


def _is_another_image(data: bytes) -> bool:
    try:
        return sniff(data) != "DICOM"
    except BadImage:
        return False


def is_dicom(data: bytes) -> bool:
    """Whether these are the bytes of a DICOM file (PS3.10: ``DICM`` after 128 bytes)."""
    return data[128:132] == b"DICM"


def deidentify(data: bytes, names: Pseudonyms) -> bytes:
    """A DICOM file of the same picture without anything that tells who is shown.

    The same file and key give the same bytes.

    Raises:
        BadImage: the file cannot be read (``corrupt``), is deflated (``unsupported``), or
            declares text burnt into the picture (``burned_in_text``).
    """
    refuse_deflated(data)
    try:
        with _untold():
            return _rewritten(pydicom.dcmread(io.BytesIO(data)), names)
    except BadImage:
        raise
    except Exception as error:  # pydicom promises no type for broken files
        raise BadImage(
            "corrupt", f"The DICOM file cannot be read ({type(error).__name__})."
        ) from error


@contextmanager
def _untold() -> Iterator[None]:
    """Keep pydicom's warnings out of every log: they quote the values they are about."""
    told = pydicom.config.logger.disabled
    pydicom.config.logger.disabled = True
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        pydicom.config.logger.disabled = told


def _rewritten(source: Dataset, names: Pseudonyms) -> bytes:
    if str(source.get("BurnedInAnnotation", "NO")).strip().upper() == "YES":
        raise BadImage(
            "burned_in_text",
            "The file declares text burnt into the picture, which may name the patient. "
            "Black it out and set BurnedInAnnotation to NO.",
        )
    kept = _only(source, PICTURE | TECHNIQUE)
    for keyword in LOOKUP_TABLES:
        if tables := source.get(keyword):
            setattr(kept, keyword, [_only(table, LOOKUP_TABLE) for table in tables])
    for keyword in PSEUDONYMISED_UIDS:
        if uid := str(source.get(keyword, "")):
            setattr(kept, keyword, names.uid(uid))
    if patient := _patient(source):
        kept.PatientID = kept.PatientName = names.of("patient", patient)
    kept.PatientIdentityRemoved = "YES"
    kept.DeidentificationMethod = "Medloop: only listed elements kept, UIDs and patient replaced"
    return _file(kept, source.file_meta.TransferSyntaxUID)


def _only(source: Dataset, keywords: frozenset[str]) -> Dataset:
    kept = Dataset()
    for element in source:
        if element.keyword in keywords:
            kept.add(element)
    return kept


def _patient(source: Dataset) -> str:
    """Who is shown, as far as the file tells: its patient, else its study."""
    patient = str(source.get("PatientID", "")).strip()
    return patient or str(source.get("StudyInstanceUID", "")).strip()


def _file(content: Dataset, transfer_syntax: UID) -> bytes:
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID = content.get("SOPClassUID", UID("1.2.840.10008.5.1.4.1.1.7"))
    meta.MediaStorageSOPInstanceUID = content.get("SOPInstanceUID", UID("2.25.0"))
    meta.TransferSyntaxUID = transfer_syntax
    meta.ImplementationClassUID = OURS
    meta.ImplementationVersionName = "MEDLOOP"
    content.file_meta = meta
    target = io.BytesIO()
    pydicom.dcmwrite(target, content, enforce_file_format=True)
    return target.getvalue()


def patient_of(data: bytes) -> str | None:
    """The patient's pseudonym in a file that `deidentify` wrote."""
    source = pydicom.dcmread(io.BytesIO(data), stop_before_pixels=True, specific_tags=["PatientID"])
    return str(source.get("PatientID", "")) or None

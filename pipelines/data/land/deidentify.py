"""De-identification of DICOM files.

An allow-list keeps the elements that decide the pixels (`pipelines.imaging.dicom_elements`) and the
acquisition technique. Everything else is removed: names, dates, places, free text, overlays,
private elements, and comments inside compressed pixels. That is stricter than the Basic Application
Level Confidentiality Profile (PS3.15, table E.1-1), which lists what to remove. Pseudonyms replace
patient ID and UIDs, so images of one patient stay together.

Text burnt into the image is not found this way: a file that declares such text is refused.
"""

import io
from typing import Any

import numpy as np
import pydicom
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.encaps import encapsulate
from pydicom.uid import (
    UID,
    ExplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGBaseline8Bit,
    JPEGLosslessSV1,
    JPEGLSLossless,
    RLELossless,
    SecondaryCaptureImageStorage,
)

from pipelines.data.land.pseudonyms import Pseudonyms
from pipelines.errors import BadImage
from pipelines.imaging import FrameRule, codestreams, jpeg, refusal
from pipelines.imaging.dicom import described
from pipelines.imaging.dicom_elements import (
    FRAME_GROUP,
    FRAME_GROUPS,
    IMAGE,
    PALETTE,
    SHOWN,
    TABLE,
    TABLES,
)
from pipelines.imaging.dicom_file import is_big_endian, items, only, read, syntax_of
from pipelines.imaging.dicom_layout import Layout, number
from pipelines.imaging.dicom_pixels import Frame, cleared, frame_of, values_of
from pipelines.imaging.sniff import begins_like_dicom, sniff

SUFFIXES = (".dcm", ".dicom", ".dic", ".ima")
OURS = UID("2.25.170938462750183645209384756102938475")
"""Implementation class UID of the files written here; constant, so their bytes are too."""

KEPT = (
    *(keyword for keyword in IMAGE if keyword != "PixelData"),
    *PALETTE,
    "PixelAspectRatio",
    "PresentationLUTShape",
    "LossyImageCompression",
    "LossyImageCompressionRatio",
    "LossyImageCompressionMethod",
    "BurnedInAnnotation",
)
TECHNIQUE = (
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
)
PSEUDONYMISED_UIDS = (
    "SOPInstanceUID",
    "StudyInstanceUID",
    "SeriesInstanceUID",
    "FrameOfReferenceUID",
)
WORDS = ("LUTData", *(keyword for keyword in PALETTE if keyword.endswith("Data")))
"""Elements of 16-bit words that a file may hold as bytes, in its own byte order."""
READ = (*SHOWN, *KEPT, *TECHNIQUE, *PSEUDONYMISED_UIDS, "PatientID")


def may_be_dicom(name: str, data: bytes) -> bool:
    """Whether a file is DICOM, or claims to be: then its bytes may name a patient.

    Content overrides the name: a JPEG called ``x.dcm`` is a JPEG.
    """
    if is_dicom(data) or begins_like_dicom(data):
        return True
    return name.lower().endswith(SUFFIXES) and not _is_another_image(data)


def _is_another_image(data: bytes) -> bool:
    try:
        return sniff(data) != "DICOM"
    except BadImage:
        return False


def is_dicom(data: bytes) -> bool:
    """Whether these are the bytes of a DICOM file (PS3.10: ``DICM`` after 128 bytes)."""
    return data[128:132] == b"DICM"


def deidentify(data: bytes, names: Pseudonyms, *, frames: FrameRule = "single") -> bytes:
    """A DICOM file of the same image, without anything that identifies the patient.

    The result has one frame, a preamble of zeros and zeros in all unused bits. The same file and
    key give the same bytes. `pipelines.imaging.decode` gives the same pixels for both files.

    Args:
        data: the file.
        names: this installation's pseudonyms.
        frames: which frame of several to keep.

    Raises:
        BadImage: the file cannot be read (see `pipelines.imaging.REASONS`), or declares text
            burnt into the image (``burned_in_text``).
    """
    try:
        return _rewritten(read(data, READ, with_pixels=True), names, frames)
    except Exception as error:  # pydicom does not document which errors broken files raise
        raise refusal(error, "DICOM") from error


def _rewritten(source: Dataset, names: Pseudonyms, frames: FrameRule) -> bytes:
    if str(source.get("BurnedInAnnotation", "NO")).strip().upper() == "YES":
        raise BadImage(
            "burned_in_text",
            "The file declares text burnt into the image, which may name the patient. "
            "Black it out and set BurnedInAnnotation to NO.",
        )
    layout = described(source)
    frame = frame_of(source, layout, frames)
    kept = _only(source, (*KEPT, *TECHNIQUE))
    for keyword in TABLES:
        if tables := items(source, keyword):
            kept_tables = [_only(table, TABLE, source) for table in tables]
            setattr(kept, keyword, kept_tables)
    _keep_frame_groups(source, kept, frame.place)
    _normalise(source, kept, layout)
    for keyword in PSEUDONYMISED_UIDS:
        if uid := str(source.get(keyword) or ""):
            setattr(kept, keyword, names.uid(uid))
    if patient := _patient(source):
        kept.PatientID = kept.PatientName = names.of("patient", patient)
    kept.PatientIdentityRemoved = "YES"
    kept.DeidentificationMethod = "Medloop: only listed elements kept, UIDs and patient replaced"
    return _file(kept, _with_pixels(source, kept, frame, layout))


def _only(source: Dataset, keywords: tuple[str, ...], file: Dataset | None = None) -> Dataset:
    """The listed elements, words in little-endian order."""
    kept = only(source, keywords)
    for keyword in WORDS:
        if is_big_endian(file or source) and isinstance(kept.get(keyword), bytes):
            words = np.frombuffer(kept[keyword].value, ">u2")
            kept[keyword].value = words.astype("<u2").tobytes()
    return kept


def _keep_frame_groups(source: Dataset, kept: Dataset, index: int) -> None:
    """Keep the display settings of a frame in functional groups (Enhanced objects)."""
    for keyword in FRAME_GROUPS:
        groups = items(source, keyword)
        chosen = groups[:1] if keyword.startswith("Shared") else groups[index : index + 1]
        if not chosen:
            continue
        group = Dataset()
        for name, elements in FRAME_GROUP.items():
            if found := items(chosen[0], name)[:1]:
                setattr(group, name, [only(found[0], elements)])
        setattr(kept, keyword, [group])


def _normalise(source: Dataset, kept: Dataset, layout: Layout) -> None:
    """Write values as the decoder understood them, where DICOM allows several ways."""
    if "NumberOfFrames" in kept:
        kept.NumberOfFrames = 1
    if "RepresentativeFrameNumber" in kept:
        del kept.RepresentativeFrameNumber
    kept.BitsAllocated, kept.BitsStored, kept.HighBit = layout.allocated, layout.stored, layout.high
    kept.SamplesPerPixel, kept.PixelRepresentation = layout.samples, int(layout.signed)
    kept.PhotometricInterpretation = layout.photometric
    if layout.samples > 1:
        kept.PlanarConfiguration = int(layout.planar)
    for keyword in ("PixelPaddingValue", "PixelPaddingRangeLimit"):
        value = number(source, keyword)
        if keyword in kept:
            del kept[keyword]
        if value is not None:
            # always unsigned: the decoder knows the sign from the pixels
            kept.add_new(pydicom.datadict.tag_for_keyword(keyword), "US", int(value) & 0xFFFF)


def _with_pixels(source: Dataset, kept: Dataset, frame: Frame, layout: Layout) -> UID:
    """Add the pixels of the frame; return their transfer syntax.

    Pixels with data in unused bits are written uncompressed. Compressed streams lose their
    comments.
    """
    clean: Any = None
    if layout.stored < layout.allocated:
        values = values_of(frame, source, layout)
        clean = cleared(values, layout)
        if frame.compressed and np.array_equal(clean, values.words):
            clean = None
        elif layout.samples > 1:
            kept.PlanarConfiguration = 0
    if not frame.compressed or clean is not None:
        data = frame.data if clean is None else clean.astype(f"<u{layout.allocated // 8}").tobytes()
        kept.PixelData = data + bytes(len(data) % 2)
        kept["PixelData"].VR = "OW" if layout.allocated == 16 else "OB"
        return ExplicitVRLittleEndian
    syntax = syntax_of(source)
    rle = syntax == RLELossless
    stream = frame.data if rle else codestreams.without_metadata(frame.data)
    kept.PixelData = encapsulate([stream])
    kept["PixelData"].VR, kept["PixelData"].is_undefined_length = "OB", True
    return syntax if syntax is not None and syntax.is_encapsulated else _syntax_of_stream(stream)


def _syntax_of_stream(stream: bytes) -> UID:
    if not stream.startswith(codestreams.JPEG_START):
        return JPEG2000Lossless
    marker = jpeg.frame_of(stream).marker
    return {jpeg.LOSSLESS: JPEGLosslessSV1, jpeg.JPEG_LS: JPEGLSLossless}.get(
        marker, JPEGBaseline8Bit
    )


def _patient(source: Dataset) -> str:
    """The patient ID, or the study UID if there is none."""
    patient = str(source.get("PatientID") or "").strip()
    return patient or str(source.get("StudyInstanceUID") or "").strip()


def _file(content: Dataset, transfer_syntax: UID) -> bytes:
    meta = FileMetaDataset()
    content.SOPClassUID = content.get("SOPClassUID") or SecondaryCaptureImageStorage
    meta.MediaStorageSOPClassUID = content.SOPClassUID
    meta.MediaStorageSOPInstanceUID = content.get("SOPInstanceUID") or UID("2.25.0")
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

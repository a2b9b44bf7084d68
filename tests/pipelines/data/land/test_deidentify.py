import io

import numpy as np
import pydicom
import pytest
from pydicom.dataset import Dataset

from pipelines import imaging
from pipelines.data.land.deidentify import deidentify, may_be_dicom, patient_of
from pipelines.data.land.pseudonyms import Pseudonyms
from pipelines.errors import BadImage
from tests.pipelines.data.landing_folders import dicom

NAMES = Pseudonyms(b"k" * 32)


def test_nothing_that_tells_who_is_shown_is_left() -> None:
    kept = deidentify(dicom(1), NAMES)
    for particular in (b"Doe", b"Jane", b"SECRET", b"4711", b"19700101", b"Monday"):
        assert particular not in kept
    source, clean = pydicom.dcmread(io.BytesIO(dicom(1))), pydicom.dcmread(io.BytesIO(kept))
    assert clean.SOPInstanceUID != source.SOPInstanceUID
    assert clean.file_meta.MediaStorageSOPInstanceUID == clean.SOPInstanceUID
    assert clean.PatientIdentityRemoved == "YES"
    assert not [element for element in clean if element.tag.is_private]


def test_the_picture_stays_what_it_was() -> None:
    for elements in (
        {},
        {"PhotometricInterpretation": "MONOCHROME1"},
        {"RescaleSlope": "2", "RescaleIntercept": "-10"},
    ):
        source = dicom(1, **elements)
        kept = deidentify(source, NAMES)
        assert np.array_equal(imaging.decode(source), imaging.decode(kept))


def test_a_lookup_table_is_kept_without_its_explanation() -> None:
    table = Dataset()
    table.LUTDescriptor, table.LUTExplanation = [256, 0, 16], "Doe's own"
    table.LUTData = np.arange(256, dtype="<u2").tobytes()
    source = dicom(1, VOILUTSequence=[table])
    clean = pydicom.dcmread(io.BytesIO(deidentify(source, NAMES)))
    assert clean.VOILUTSequence[0].LUTDescriptor == [256, 0, 16]
    assert "LUTExplanation" not in clean.VOILUTSequence[0]


def test_the_same_file_gives_the_same_bytes() -> None:
    assert deidentify(dicom(1), NAMES) == deidentify(dicom(1), NAMES)
    assert deidentify(dicom(1), NAMES) != deidentify(dicom(1), Pseudonyms(b"x" * 32))


def test_pictures_of_a_patient_still_belong_together() -> None:
    one, two = (patient_of(deidentify(dicom(seed), NAMES)) for seed in (1, 2))
    other = patient_of(deidentify(dicom(3, PatientID="someone else"), NAMES))
    assert one == two != other


def test_without_a_patient_the_study_holds_pictures_together() -> None:
    nameless = [patient_of(deidentify(dicom(s, PatientID=""), NAMES)) for s in (1, 2)]
    assert nameless[0] == nameless[1] is not None


def test_a_file_with_burnt_in_text_is_refused() -> None:
    with pytest.raises(BadImage) as refused:
        deidentify(dicom(1, BurnedInAnnotation="YES"), NAMES)
    assert refused.value.reason == "burned_in_text"


@pytest.mark.parametrize("data", [b"", b"\0" * 128 + b"DICM" + b"\xff" * 40, dicom(1)[:200]])
def test_a_broken_file_is_refused_without_telling_its_content(data: bytes) -> None:
    with pytest.raises(BadImage) as refused:
        deidentify(data, NAMES)
    assert refused.value.reason == "corrupt"
    assert "Doe" not in str(refused.value)


@pytest.mark.parametrize(
    ("name", "data", "expected"),
    [
        ("x", dicom(1), True),
        ("x", dicom(1)[132:], True),
        ("X.DCM", b"broken", True),
        ("x.png", b"\x89PNG", False),
    ],
)
def test_what_claims_to_be_dicom_is_treated_as_such(name: str, data: bytes, expected: bool) -> None:
    assert may_be_dicom(name, data) is expected

import hashlib
import os
from pathlib import Path

import numpy as np
import pytest

from pipelines import imaging
from pipelines.data.folders import LocalFolder
from pipelines.data.land.examine import Examined, examine
from pipelines.data.land.pseudonyms import Pseudonyms
from pipelines.errors import MemoryExceeded
from pipelines.imaging.limits import limits_of
from pipelines.spec import LimitsSpec
from tests.pipelines.data.landing_folders import dicom, drawing, png, write

NAMES = Pseudonyms(b"k" * 32)
LIMITS = limits_of(LimitsSpec(max_megabytes=0.1, max_megapixels=0.04, min_side=32))


def examined(path: Path) -> Examined:
    return examine(LocalFolder(path.parent), path.name, NAMES, limits=LIMITS)


def test_a_good_picture_is_described(tmp_path: Path) -> None:
    data = png(drawing(1))
    found = examined(write(tmp_path / "a.png", data))
    assert (found.reason, found.message, found.nameless) == (None, None, False)
    assert (found.format, found.width, found.height, found.mode) == ("PNG", 64, 64, "L")
    assert found.sha256 == hashlib.sha256(data).hexdigest()
    assert found.size == len(data)
    assert found.mean == pytest.approx(drawing(1).mean(), abs=0.01)
    assert found.std == pytest.approx(drawing(1).std(), abs=0.01)
    assert len(found.thumbnail or b"") == 1024


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "empty"),
        (b"just some text", "unknown_format"),
        (png(drawing(1))[:-2000], "truncated"),
        (png(drawing(1, side=16)), "too_small"),
        (png(drawing(1, side=201)), "too_large"),
        (np.random.default_rng(0).bytes(200_000), "too_large"),
        (png(np.full((64, 64), 7, np.uint8)), "blank"),
        (dicom(1, BurnedInAnnotation="YES"), "burned_in_text"),
    ],
)
def test_a_bad_file_is_told_by_its_reason(tmp_path: Path, data: bytes, reason: str) -> None:
    found = examined(write(tmp_path / "a.png", data))
    assert found.reason == reason
    assert found.message


def test_a_file_too_large_is_hashed_without_being_read_as_a_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delattr(Path, "read_bytes")
    data = np.random.default_rng(0).bytes(200_000)
    found = examined(write(tmp_path / "a.png", data))
    assert (found.sha256, found.size) == (hashlib.sha256(data).hexdigest(), 200_000)


def test_what_is_no_regular_file_is_unreadable_and_never_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.png")
    (tmp_path / "gone.png").symlink_to(tmp_path / "nowhere")
    for name in ("pipe.png", "gone.png"):
        assert examined(tmp_path / name).reason == "unreadable"


def test_dicom_is_known_by_its_patients_pseudonym_only(tmp_path: Path) -> None:
    found = examined(write(tmp_path / "IM1", dicom(1)))
    assert (found.reason, found.nameless, found.format) == (None, True, "DICOM")
    assert found.patient == NAMES.of("patient", "SECRET-4711")
    assert found.sha256 != hashlib.sha256(dicom(1)).hexdigest()
    assert "Doe" not in str(found)


def test_another_image_named_dcm_is_read_by_its_content(tmp_path: Path) -> None:
    for name in ("a.dcm", "A.IMA"):
        found = examined(write(tmp_path / name, png(drawing(1))))
        assert (found.reason, found.format) == (None, "PNG")
        assert found.nameless, "a modality or a person named it"


def test_an_unexpected_error_is_a_reason_and_says_where_without_quoting_the_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    quoted = "Doe^Jane"

    def fail(_: object) -> int:
        raise TypeError(quoted)

    monkeypatch.setattr(imaging, "thumbnail", fail)
    found = examined(write(tmp_path / "a.png", png(drawing(1))))
    assert found.reason == "unexpected_error"
    assert "in fail" in str(found.frames)
    assert "TypeError" in str(found.message)
    assert "Doe" not in f"{found.message} {found.frames}"


def test_a_lack_of_memory_is_a_reason_and_an_error_of_ours_is_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write(tmp_path / "a.png", png(drawing(1)))
    error: list[Exception] = [MemoryError(), MemoryExceeded("The step takes too much.")]

    def fail(*_: object, **__: object) -> None:
        raise error[0]

    monkeypatch.setattr(imaging, "decode", fail)
    assert examined(path).reason == "out_of_memory"
    error.pop(0)
    with pytest.raises(MemoryExceeded):
        examined(path)

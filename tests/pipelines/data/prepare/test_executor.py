"""An image that was accepted and cannot be prepared is named, whatever went wrong with it."""

import hashlib

import pytest

from pipelines.data.prepare import executor
from pipelines.data.prepare.executor import PrepareJob, Row, _row_group
from pipelines.errors import BadImage
from pipelines.settings import Settings
from pipelines.spec import ImageSpec
from tests.pipelines.data.landing_folders import drawing, png

JOB = PrepareJob(Settings(), "folder", ImageSpec(size=32))


def row(content: bytes, mask: bytes | None = None) -> Row:
    sha256 = hashlib.sha256(content).hexdigest()
    place = {"number": 0, "source_path": "cat/7.png", "finder": 0, "mask": "m" if mask else ""}
    return place | {"sha256": sha256, "content": content, "mask_content": mask}


@pytest.mark.parametrize(
    ("broken", "reason"),
    [
        (row(png(drawing(1))) | {"sha256": "0" * 64}, "altered"),
        (row(b"text"), "unknown_format"),
        (row(png(drawing(1)), mask=b"text"), "unknown_format"),
    ],
)
def test_an_image_that_cannot_be_used_is_named(broken: Row, reason: str) -> None:
    with pytest.raises(BadImage, match=r"cat/7\.png") as refused:
        _row_group([broken], [], job=JOB)
    assert refused.value.reason == reason


def test_an_error_that_nobody_foresaw_names_the_image_and_is_logged(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(*_: object) -> None:
        raise TypeError

    monkeypatch.setattr(executor, "fit", fail)
    with pytest.raises(BadImage, match=r"cat/7\.png .* unexpected TypeError"):
        _row_group([row(png(drawing(1)))], [], job=JOB)
    assert "in fail" in caplog.text


def test_masks_are_numbered_through_a_part() -> None:
    mask, listed = png(drawing(2)), list[Row]()
    rows = [row(png(drawing(n)), mask=marked) for n, marked in enumerate([mask, None, mask, mask])]
    _row_group(rows[:3], listed, job=JOB)
    _row_group(rows[3:], listed, job=JOB)
    assert [one["lesion"] for one in listed] == [0, -1, 1, 2]
    assert [one["row"] for one in listed] == [0, 1, 2, 3]


@pytest.mark.parametrize("size", [32, 160, 224, 1024])
def test_row_groups_stay_bounded_whatever_the_size(size: int) -> None:
    job = PrepareJob(Settings(), "folder", ImageSpec(size=size))
    assert job.group_rows == 1 or job.group_rows * size * size * 3 <= executor.ROW_GROUP_BYTES

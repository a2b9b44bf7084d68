"""An image that was accepted and cannot be prepared is named, whatever went wrong with it."""

import hashlib

import pytest

from pipelines.data.prepare import shard_writer
from pipelines.data.prepare.shard_writer import Row, ShardJob, _row_group, _Seen
from pipelines.errors import BadImage
from pipelines.settings import Settings
from pipelines.spec import ImageSpec
from tests.pipelines.data.landing_folders import drawing, png

JOB = ShardJob(Settings(), "folder", ImageSpec(size=32), group_rows=2)


def row(content: bytes, mask: bytes | None = None) -> Row:
    sha256 = hashlib.sha256(content).hexdigest()
    place = {"name": "train-0", "label": 0, "group": "g", "source_path": "cat/7.png", "source": 0}
    return place | {"sha256": sha256, "content": content, "mask": mask}


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
        _row_group([broken], _Seen(), job=JOB)
    assert refused.value.reason == reason


def test_an_error_that_nobody_foresaw_names_the_image_and_is_logged(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(*_: object) -> None:
        raise TypeError

    monkeypatch.setattr(shard_writer, "fit", fail)
    with pytest.raises(BadImage, match=r"cat/7\.png .* unexpected TypeError"):
        _row_group([row(png(drawing(1)))], _Seen(), job=JOB)
    assert "in fail" in caplog.text

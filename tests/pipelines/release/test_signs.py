"""What of two versions' answers is compared, by what the data set says."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from pipelines.release.promotions import Promotion
from pipelines.release.rises import rise
from pipelines.release.signs import signs, traffic
from pipelines.spec.operations import AutoRollbackSpec
from tests.pipelines.release.asked import write_log

PROMOTION = Promotion(
    dataset="tiny", version=2, previous=1, at=datetime(2026, 3, 1, 12, tzinfo=UTC)
)


def risen(folder: Path, **limits: Any) -> str:
    """What has risen, in words."""
    spec = AutoRollbackSpec(**limits)
    found = signs(spec, *traffic(folder, PROMOTION, hours=spec.hours))
    rises = [rise(sign, first=spec.answers, false_alarms=spec.false_alarms) for sign in found]
    return "; ".join(found.told for found in rises if found)


@pytest.mark.parametrize(
    ("limits", "fields", "found"),
    [
        ({}, {"milliseconds": 170.0}, "slower than 2 times"),
        ({}, {"milliseconds": 150.0}, None),
        ({}, {"milliseconds": 170.0, "path": "/explain"}, None),  # never asked before
        ({}, {"milliseconds": 170.0, "path": "/predict/batch"}, None),
        ({"latency": None}, {"milliseconds": 170.0}, None),
        ({}, {"abstained": True}, None),
        ({"abstained": 0.2}, {"abstained": True}, "the model abstained"),
        ({"classes": 0.3}, {"class_name": "haze"}, "answers other than 'spot'"),
        ({"confidence": 0.2}, {"confidence": 0.4}, "confidence below"),
        ({"classes": 0.3, "confidence": 0.2, "abstained": 0.1}, {}, None),
        ({"abstained": 0.2}, {"abstained": True, "sha256": "one image"}, None),
    ],
)
def test_what_is_compared_is_what_the_data_set_says(
    tmp_path: Path, limits: Any, fields: Any, found: str | None
) -> None:
    write_log(tmp_path, PROMOTION, new=40, **fields)
    told = risen(tmp_path, **limits)

    assert found in told if found else not told


def test_without_answers_of_the_version_before_errors_alone_are_compared(tmp_path: Path) -> None:
    write_log(tmp_path, PROMOTION, new=20, old=5, milliseconds=9000.0)
    assert not risen(tmp_path)

    write_log(tmp_path, PROMOTION, new=0, failed=30, old=0)
    assert "before: not known" in risen(tmp_path)


def test_what_was_asked_of_others_or_long_ago_is_not_counted(tmp_path: Path) -> None:
    write_log(tmp_path, PROMOTION.model_copy(update={"dataset": "other"}), new=0, failed=40)
    assert not risen(tmp_path)

    write_log(tmp_path, PROMOTION, new=40, milliseconds=900.0)
    assert risen(tmp_path)
    folder = tmp_path / "late"
    write_log(folder, PROMOTION, new=0)
    late = PROMOTION.model_copy(update={"at": datetime(2026, 3, 3, tzinfo=UTC)})
    write_log(folder, late, new=40, old=0, milliseconds=900.0)
    assert not traffic(folder, late, hours=24)[1].answers


def test_answers_to_batches_are_not_slow(tmp_path: Path) -> None:
    for number, path in enumerate(("/explain", "/predict/batch")):
        folder = tmp_path / str(number)
        write_log(folder, PROMOTION, new=40, before=path, path=path, milliseconds=900.0)
        assert bool(risen(folder)) == (path == "/explain")


def test_logs_are_compared_as_far_as_both_were_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else failures of a whole day would stand beside the answers of a minute."""
    monkeypatch.setattr("pipelines.release.signs.LINES", 30)
    write_log(tmp_path, PROMOTION, new=100)
    hours_later = PROMOTION.model_copy(update={"at": PROMOTION.at + timedelta(hours=3)})
    write_log(tmp_path, hours_later, new=0, failed=5, old=0)
    new, old = traffic(tmp_path, PROMOTION, hours=24)

    assert (len(new.answers), len(old.answers)) == (30, 30)
    assert not new.refusals

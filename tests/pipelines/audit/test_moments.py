"""Lines on both sides of a moment, over the files of a log."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from pipelines.audit.entries import REFUSALS, RefusedEntry
from pipelines.audit.moments import entries_after, entries_before

BEGIN = datetime(2026, 3, 1, tzinfo=UTC)
CUT = b'{"time":"2026-03-01T00:'


def line(second: int) -> bytes:
    entry = RefusedEntry(
        time=BEGIN + timedelta(seconds=second),
        request_id=str(second),
        token=None,
        address=None,
        path="/predict",
        milliseconds=1,
        status=500,
        code="internal",
    )
    return entry.model_dump_json().encode() + b"\n"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Lines of seconds 0 to 29 in three files; one line is cut short."""
    for number, suffix in enumerate((".2", ".1", "")):
        lines = [line(10 * number + second) for second in range(10)]
        (tmp_path / f"{REFUSALS}{suffix}").write_bytes(b"".join([*lines[:5], CUT, *lines[5:]]))
    return tmp_path


@pytest.mark.parametrize("second", [-1, 0, 7, 10, 19, 25, 29, 30])
def test_all_lines_before_and_after_are_found_in_order(folder: Path, second: int) -> None:
    moment = BEGIN + timedelta(seconds=second)
    # What is cut short takes the next line with it, as a full disk does.
    there = [s for s in range(30) if s % 10 != 5]

    before = [int(e.request_id) for e in entries_before(folder, REFUSALS, RefusedEntry, moment)]
    after = [int(e.request_id) for e in entries_after(folder, REFUSALS, RefusedEntry, moment)]

    assert before == [s for s in reversed(there) if s < second]
    assert after == [s for s in there if s >= second]


def test_there_is_nothing_in_a_log_that_is_empty_or_not_there(tmp_path: Path) -> None:
    assert not list(entries_before(tmp_path, REFUSALS, RefusedEntry, BEGIN))
    (tmp_path / REFUSALS).touch()
    assert not list(entries_after(tmp_path, REFUSALS, RefusedEntry, BEGIN))

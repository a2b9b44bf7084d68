"""Answers are found in the audit log while the service writes and rotates it."""

import threading
import time
from pathlib import Path

from pipelines.audit.entries import ANSWERS, AnsweredEntry, find_answers
from serving.records.log import Appended


def test_an_answer_is_found_once_while_the_log_is_rotated(tmp_path: Path) -> None:
    log = Appended(tmp_path / ANSWERS, most_bytes=2_000, files=10_000)
    log.write(_line("wanted"))
    other = _line("other")

    def write() -> None:
        for _ in range(300):
            log.write(other)

    thread = threading.Thread(target=write)
    thread.start()
    found = []
    while thread.is_alive():
        found.append(len(find_answers(tmp_path, "wanted")))
        time.sleep(0.002)  # so that the writer gets the lock
    thread.join()

    assert found
    assert set(found) == {1}


def _line(request_id: str) -> bytes:
    entry = AnsweredEntry.model_validate(
        {
            "request_id": request_id,
            "token": None,
            "address": None,
            "path": "/predict",
            "milliseconds": 1.0,
            "dataset": "phantom",
            "model_version": 1,
            "run_id": "run",
            "bundle": "bundle",
            "sha256": "0" * 64,
            "class": "no_lesion",
            "confidence": 0.9,
        }
    )
    return entry.model_dump_json(by_alias=True).encode() + b"\n"

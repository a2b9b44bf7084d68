"""Every wrong answer is listed and shown, the missed findings first."""

import csv
from pathlib import Path

import pytest
from PIL import Image

from pipelines.evidence.mistakes import LISTED, PICTURE, look
from pipelines.evidence.subject import Subject
from pipelines.stage import Context
from tests.pipelines.data.small_collection import images, small_spec
from tests.pipelines.evidence.small_subjects import small_subject

CLASSES = [
    {"name": "bright", "title": "Bright"},
    {"name": "dark", "title": "Dark", "finding": False},
]
SWAPPED = {"bright/004.png": "dark", "dark/009.png": "bright", "dark/014.png": "bright"}
"""Of 16 test images: one that the model will call a finding, and two findings that it misses."""


@pytest.fixture
def subject(context: Context, tmp_path: Path) -> Subject:
    rows = [row | {"label": SWAPPED.get(row["source_path"], row["label"])} for row in images(40)]
    return small_subject(context, tmp_path, spec=small_spec(classes=CLASSES), rows=rows)


def listed(folder: Path) -> list[dict[str, str]]:
    with (folder / LISTED).open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def test_every_wrong_answer_is_listed_and_the_missed_findings_first(
    subject: Subject, tmp_path: Path
) -> None:
    look(subject, tmp_path)
    rows = listed(tmp_path)
    assert [row["kind"] for row in rows] == ["missed", "missed", "false alarm"]
    assert {row["source_path"] for row in rows} == {*SWAPPED}
    assert rows[2] | {"confidence": "", "of_label": "", "source": ""} == {
        "source_path": "bright/004.png",
        "label": "dark",
        "predicted": "bright",
        "kind": "false alarm",
        "confidence": "",
        "of_label": "",
        "source": "",
    }
    assert float(rows[0]["confidence"]) >= float(rows[1]["confidence"]) > 0.5
    assert float(rows[0]["of_label"]) == pytest.approx(1 - float(rows[0]["confidence"]), abs=2e-4)


def test_counts_tell_what_was_taken_for_what(subject: Subject, tmp_path: Path) -> None:
    found = look(subject, tmp_path)
    assert found.figures == {"count": 3, "missed": 2, "false_alarms": 1, "sure": 3}
    assert [row[:4] for row in found.tables[0].rows] == [
        ("bright", "dark", 2, 9),
        ("dark", "bright", 1, 7),
    ]
    assert "2 findings were missed" in found.said[0]


def test_the_wrong_ones_are_shown(subject: Subject, tmp_path: Path) -> None:
    found = look(subject, tmp_path)
    assert "first 3 of 3" in found.pictures[PICTURE]
    with Image.open(tmp_path / PICTURE) as sheet:
        assert sheet.width > 800


def test_a_model_without_mistakes_leaves_an_empty_list_and_no_picture(
    context: Context, tmp_path: Path
) -> None:
    found = look(small_subject(context, tmp_path), tmp_path)
    assert found.said == ("All 8 test images were answered rightly.",)
    assert found.pictures == {}
    assert found.tables == ()
    assert listed(tmp_path) == []

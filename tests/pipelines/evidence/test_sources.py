"""A candidate is judged source by source."""

from pathlib import Path

import pytest

from pipelines.evidence.sources import look
from pipelines.evidence.subject import Subject
from pipelines.stage import Context
from tests.pipelines.data.small_collection import CLASSES, Row, images
from tests.pipelines.evidence.small_subjects import small_subject

PER_CLASS = 150
OTHER = {"bright": "dark", "dark": "bright"}


def number(row: Row) -> int:
    return int(row["source_path"][-7:-4])


def from_two_sources() -> list[Row]:
    """Source 2 holds every other image; two thirds of its labels are not what the model says."""
    rows = []
    for row in images(PER_CLASS):
        source = 1 + number(row) // 5 % 2
        wrong = source == 2 and number(row) % 3 > 0
        rows.append(
            row | {"source": source, "label": OTHER[row["label"]] if wrong else row["label"]}
        )
    return rows


def by_class(rows: list[Row]) -> list[Row]:
    """Each class from a source of its own."""
    return [row | {"source": 1 + CLASSES.index(row["label"])} for row in rows]


@pytest.fixture
def subject(context: Context, tmp_path: Path) -> Subject:
    return small_subject(context, tmp_path, rows=from_two_sources())


def test_the_worst_source_is_found_and_warned_about(subject: Subject, tmp_path: Path) -> None:
    found = look(subject, tmp_path)
    assert found is not None
    rows = subject.of("test").assign(source=subject.sources("test"))
    worst = rows[rows["source"] == 2]
    accuracy = (worst["predicted"] == worst["label"]).mean()
    assert found.figures["worst_accuracy"] == pytest.approx(accuracy)
    assert found.figures["worst"] == 2
    low, high = found.intervals["worst_accuracy"]
    assert low < accuracy < high < 1
    assert any("source 2" in warning for warning in found.warnings)
    table = {row[0]: row for row in found.tables[0].rows}
    assert table[1][4] == 1.0
    assert {table[source][2] for source in (1, 2)} == {30}
    assert len(rows) == 60
    assert (tmp_path / "sources.png").stat().st_size > 10_000


def test_sources_that_have_both_classes_alike_do_not_tell_the_class(
    context: Context, tmp_path: Path
) -> None:
    rows = [row | {"source": 1 + number(row) // 5 % 2} for row in images(PER_CLASS)]
    found = look(small_subject(context, tmp_path, rows=rows), tmp_path)
    assert found is not None
    assert found.intervals["class_auroc"].low <= 0.5
    assert not found.warnings


def test_a_class_that_has_its_own_source_can_be_told_from_it(
    context: Context, tmp_path: Path
) -> None:
    found = look(small_subject(context, tmp_path, rows=by_class(images(20))), tmp_path)
    assert found is not None
    assert found.figures["class_auroc"] == 1.0
    assert any("from the source" in warning for warning in found.warnings)
    assert "worst_accuracy" not in found.figures, "too few test images of each"


def test_nothing_is_said_where_sources_are_not_known(context: Context, tmp_path: Path) -> None:
    assert look(small_subject(context, tmp_path), tmp_path) is None


def test_facts_name_the_source_where_it_is_known(subject: Subject) -> None:
    assert set(subject.facts_of("test")["source"]) == {1, 2}

"""A subgroup that a model is bad for is found; one that is only small is not judged."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from numpy.typing import NDArray

from pipelines.evidence.finding import Finding
from pipelines.evidence.subgroups import look, parts_of
from pipelines.stage import Context
from tests.pipelines.evidence.answered_subjects import FINDING, answered_subject, collection

ROWS = {
    "sex": lambda number: ("male", "female")[number % 2],
    "site": lambda number: "rare" if number % 40 == 4 else "common",
}


def wrong_for(rows: pd.DataFrame, wrong: pd.Series) -> NDArray[np.float64]:
    """Logits of a candidate that is sure of all, and wrong where told."""
    right = np.where(rows["label"] == FINDING, 4.0, -4.0)
    return np.asarray(np.where(wrong, -right, right))


@pytest.fixture
def found(context: Context, tmp_path: Path) -> Finding:
    """Of a candidate that misses every ill woman, and is wrong on the rare site."""

    def score(rows: pd.DataFrame) -> NDArray[np.float64]:
        women = (rows["sex"] == "female") & (rows["label"] == FINDING)
        return wrong_for(rows, women | (rows["site"] == "rare"))

    finding = look(answered_subject(context, collection(320, **ROWS), score), tmp_path)
    assert finding is not None
    return finding


def test_a_subgroup_that_is_worse_is_warned_of_and_named(found: Finding) -> None:
    (warning,) = [text for text in found.warnings if "sensitivity" in text]

    assert "sex: female" in warning
    assert found.figures["worst_sensitivity"] == 0
    low, high = found.intervals["worst_sensitivity"]
    assert (low, high) == pytest.approx((0, 0.107), abs=1e-3)
    assert any("sex: female" in text for text in found.said)


def test_a_small_subgroup_is_shown_and_not_judged(found: Finding) -> None:
    (table,) = found.tables
    rows = {row[0]: row for row in table.rows}

    rare = rows["site: rare"]
    assert rare[1] == 16
    assert str(rare[3]).startswith("0.000")
    assert rare[-1] == "small"
    assert rows["sex: male"][-1] == ""
    assert not any("rare" in text for text in (*found.warnings, *found.said))


def test_the_whole_stands_first_and_the_picture_is_drawn(found: Finding, tmp_path: Path) -> None:
    (table,) = found.tables

    assert [row[0] for row in table.rows] == [
        "all images",
        "sex: female",
        "sex: male",
        "site: common",
        "site: rare",
    ]
    assert (tmp_path / "subgroups.png").stat().st_size > 5_000


def test_a_model_that_is_as_good_for_all_is_not_warned_of(context: Context, tmp_path: Path) -> None:
    def score(rows: pd.DataFrame) -> NDArray[np.float64]:
        return wrong_for(rows, pd.Series(np.arange(len(rows)) % 7 == 0))

    finding = look(answered_subject(context, collection(320, **ROWS), score), tmp_path)

    assert finding is not None
    assert finding.warnings == ()


def test_images_of_which_nothing_is_known_have_no_subgroups(
    context: Context, tmp_path: Path
) -> None:
    def score(rows: pd.DataFrame) -> NDArray[np.float64]:
        return wrong_for(rows, pd.Series(False, index=rows.index))

    subject = answered_subject(context, collection(20), score)

    assert look(subject, tmp_path) is None
    assert len(parts_of(subject)) == 1

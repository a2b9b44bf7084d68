"""Thresholds, net benefit and abstention of candidates whose answers are given."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from numpy.typing import NDArray
from sklearn.metrics import recall_score

from pipelines.evidence import abstention, benefit, thresholds
from pipelines.evidence.subject import Subject
from tests.pipelines.evidence.answered_subjects import (
    FINDING,
    answered_subject,
    collection,
    context_in,
    knowing,
)


@pytest.fixture(scope="module")
def subject(tmp_path_factory: pytest.TempPathFactory) -> Subject:
    """Knows much, not all, and is calibrated."""
    return answered_subject(
        context_in(tmp_path_factory.mktemp("knowing")),
        collection(400),
        knowing,
        operating={"finding_sensitivity": 0.97, "prevalence": 0.1},
    )


def deluded(rows: pd.DataFrame) -> NDArray[np.float64]:
    """Logits of a candidate that is right on validation, and sure of the wrong half on test."""
    right = np.where(rows["label"] == FINDING, 6.0, -6.0)
    wrong = (rows["split"] == "test") & (np.arange(len(rows)) % 2 == 0)
    return np.asarray(np.where(wrong, -right, right))


@pytest.fixture(scope="module")
def wrong(tmp_path_factory: pytest.TempPathFactory) -> Subject:
    """Promises on validation what it does not keep on test."""
    return answered_subject(
        context_in(tmp_path_factory.mktemp("deluded")),
        collection(150),
        deluded,
        operating={"finding_sensitivity": 0.97},
    )


def test_thresholds_are_chosen_on_validation_and_judged_on_test(
    subject: Subject, tmp_path: Path
) -> None:
    finding = thresholds.look(subject, tmp_path)

    assert finding is not None
    ill = {"validation": subject.labels("validation") == 0, "test": subject.labels("test") == 0}
    share = {
        "validation": subject.probabilities("validation")[:, 0],
        "test": subject.probabilities("test")[:, 0],
    }
    for name, asked in (("at_0.9", 0.9), ("at_0.95", 0.95), ("at_0.97", 0.97), ("at_0.99", 0.99)):
        limit = finding.figures[f"threshold.{name}"]
        assert recall_score(ill["validation"], share["validation"] > limit) >= asked
        reached = recall_score(ill["test"], share["test"] > limit)
        assert finding.figures[f"sensitivity.{name}"] == pytest.approx(reached)
        low, high = finding.intervals[f"sensitivity.{name}"]
        assert low <= reached <= high
    assert finding.figures["threshold.likeliest"] == 0.5
    # one of ten ill: of the calls at 0.5, half and half in the test set, far fewer are right
    at_hand = ill["test"][share["test"] > 0.5].mean()
    assert finding.figures["ppv.likeliest"] < at_hand - 0.2
    assert "10.0%, stated" in " ".join(finding.said)
    assert (tmp_path / "thresholds.png").stat().st_size > 5_000


def test_a_calibrated_model_that_knows_something_is_of_use(
    subject: Subject, tmp_path: Path
) -> None:
    finding = benefit.look(subject, tmp_path)

    assert finding is not None
    assert finding.warnings == ()
    assert "is better than acting on all images or on none" in finding.said[0]
    low, high = finding.intervals["net_benefit.0.2"]
    assert low <= finding.figures["net_benefit.0.2"] <= high
    assert 0 < finding.figures["net_benefit.0.2"] < 0.1
    assert (tmp_path / "decision_curve.png").stat().st_size > 5_000


def test_answering_what_it_is_sure_of_a_model_is_right_more_often(
    subject: Subject, tmp_path: Path
) -> None:
    finding = abstention.look(subject, tmp_path)

    figures = finding.figures
    answers = subject.answers("test")
    sure = answers.certainty >= figures["confidence"]
    right = answers.right(subject.labels("test"))
    assert figures["coverage"] == pytest.approx(sure.mean())
    assert figures["accuracy_answered"] == pytest.approx(right[sure].mean())
    assert figures["accuracy_at_1"] == pytest.approx(right.mean())
    assert figures["accuracy_at_0.5"] > figures["accuracy_at_1"]
    for name in ("coverage", "accuracy_answered", "accuracy_at_0.9"):
        low, high = finding.intervals[name]
        assert low <= figures[name] <= high
    assert (tmp_path / "abstention.png").stat().st_size > 5_000


def test_a_promise_of_validation_that_test_does_not_keep_is_warned_of(
    wrong: Subject, tmp_path: Path
) -> None:
    found = (thresholds.look(wrong, tmp_path), benefit.look(wrong, tmp_path))

    for finding in (*found, abstention.look(wrong, tmp_path)):
        assert finding is not None
        assert len(finding.warnings) == 1
    assert abstention.look(wrong, tmp_path).figures["accuracy_answered"] == pytest.approx(
        0.5, abs=0.1
    )


def test_where_every_class_is_a_finding_nothing_is_asked(tmp_path: Path) -> None:
    plain = answered_subject(
        context_in(tmp_path),
        collection(20),
        deluded,
        classes=[{"name": name, "title": name} for name in ("bright", "dark")],
    )

    assert thresholds.look(plain, tmp_path) is None
    assert benefit.look(plain, tmp_path) is None
    assert abstention.look(plain, tmp_path).figures["accuracy_at_1"] < 1

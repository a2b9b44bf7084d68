import numpy as np
import pytest
from scipy.stats import binomtest

from pipelines.errors import WindowError
from pipelines.evaluation.decisions import Decisions
from pipelines.evaluation.metrics import measure
from pipelines.monitoring.performance import measure_performance
from tests.pipelines.monitoring.drawn import CLASSES, draw, reference_of

REFERENCE = reference_of(draw(120, seed=0))
ANSWERS, LABELS = REFERENCE.answers, REFERENCE.labels


def test_the_figures_are_those_of_the_evaluation() -> None:
    found = measure_performance(ANSWERS.decisions, LABELS)

    assert found.images == 120
    assert found.accuracy == pytest.approx((ANSWERS.predicted == LABELS).mean())
    assert found.figures == pytest.approx(measure(LABELS, ANSWERS.decisions))
    assert found.intervals.keys() == found.figures.keys()
    assert found.low < found.accuracy < found.high


def test_a_class_without_labels_leaves_its_figures_out() -> None:
    some = LABELS != 2

    found = measure_performance(ANSWERS.decisions.take(some), LABELS[some])

    assert "sensitivity.c" not in found.figures
    assert "macro_sensitivity" not in found.figures
    assert found.figures["sensitivity.a"] > 0.8


def test_thirty_right_answers_do_not_promise_a_perfect_model() -> None:
    labels = ANSWERS.predicted[:30]

    found = measure_performance(ANSWERS.decisions.take(np.arange(30)), labels)

    assert found.accuracy == found.high == 1
    assert found.low == pytest.approx(binomtest(30, 30).proportion_ci(method="wilson").low)


def test_pictures_of_one_patient_are_not_independent() -> None:
    wrong = np.repeat(np.random.default_rng(0).random(12) < 0.3, 10)
    predicted = np.where(wrong, (LABELS + 1) % 3, LABELS)
    patients = [str(row // 10) for row in range(120)]

    answers = Decisions.recorded(ANSWERS.probabilities, CLASSES, predicted)

    alone = measure_performance(answers, LABELS)
    known = measure_performance(answers, LABELS, groups=patients)

    assert known.accuracy == alone.accuracy
    assert known.high - known.low > 1.5 * (alone.high - alone.low)


def test_figures_count_the_class_that_thresholds_decided_for() -> None:
    """A two-class model whose threshold of 0.1 finds what the likeliest class would miss."""
    rng = np.random.default_rng(0)
    labels = (rng.random(400) < 0.5).astype(int)  # 1 is well
    share = np.where(labels == 0, rng.beta(2, 4, 400), rng.beta(1, 14, 400))
    given = np.stack([share, 1 - share], axis=1).astype(np.float32)
    careful = {"ill": 0.1, "well": 0.9}
    served = Decisions.by_thresholds(given, ("ill", "well"), careful)
    kept = Decisions.recorded(given, ("ill", "well"), served.decided)

    found = measure_performance(kept, labels)

    expected = (served.decided[labels == 0] == 0).mean()
    assert found.figures["sensitivity.ill"] == pytest.approx(expected)
    assert expected > 0.85 > 0.4 > measure(labels, served.likeliest)["sensitivity.ill"]
    assert found.figures["accuracy"] == found.accuracy
    assert found.intervals["sensitivity.ill"].low > 0.8


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        (np.array([], int), "No answer has a label"),
        (np.array([0, -1, 3]), "2 labels are not one of"),
    ],
    ids=["none", "strange"],
)
def test_labels_that_say_nothing_are_refused(labels: np.ndarray, message: str) -> None:
    rows = len(labels)

    with pytest.raises(WindowError, match=message):
        measure_performance(ANSWERS.decisions.take(np.arange(rows)), labels)

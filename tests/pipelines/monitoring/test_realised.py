import numpy as np
import pytest
from scipy.stats import binomtest

from pipelines.errors import WindowError
from pipelines.evaluation.metrics import measure
from pipelines.monitoring.realised import realised
from tests.pipelines.monitoring.drawn import CLASSES, draw, reference_of

REFERENCE = reference_of(draw(120, seed=0))
ANSWERS, LABELS = REFERENCE.answers, REFERENCE.labels


def test_the_figures_are_those_of_the_evaluation() -> None:
    found = realised(CLASSES, ANSWERS.predicted, LABELS, ANSWERS.probabilities)

    assert found.images == 120
    assert found.accuracy == pytest.approx((ANSWERS.predicted == LABELS).mean())
    assert found.figures == pytest.approx(measure(LABELS, ANSWERS.probabilities, CLASSES))
    assert found.intervals.keys() == found.figures.keys()
    assert found.low < found.accuracy < found.high


def test_a_class_without_labels_leaves_its_figures_out() -> None:
    some = LABELS != 2

    found = realised(CLASSES, ANSWERS.predicted[some], LABELS[some], ANSWERS.probabilities[some])

    assert "sensitivity.c" not in found.figures
    assert "macro_sensitivity" not in found.figures
    assert found.figures["sensitivity.a"] > 0.8


def test_thirty_right_answers_do_not_promise_a_perfect_model() -> None:
    labels = ANSWERS.predicted[:30]

    found = realised(CLASSES, labels, labels, ANSWERS.probabilities[:30])

    assert found.accuracy == found.high == 1
    assert found.low == pytest.approx(binomtest(30, 30).proportion_ci(method="wilson").low)


def test_pictures_of_one_patient_are_not_independent() -> None:
    wrong = np.repeat(np.random.default_rng(0).random(12) < 0.3, 10)
    predicted = np.where(wrong, (LABELS + 1) % 3, LABELS)
    patients = [str(row // 10) for row in range(120)]

    alone = realised(CLASSES, predicted, LABELS, ANSWERS.probabilities)
    known = realised(CLASSES, predicted, LABELS, ANSWERS.probabilities, groups=patients)

    assert known.accuracy == alone.accuracy
    assert known.high - known.low > 1.5 * (alone.high - alone.low)


def test_a_threshold_may_have_decided_for_a_less_likely_class() -> None:
    found = realised(CLASSES, LABELS, LABELS, ANSWERS.probabilities)

    assert found.accuracy == 1
    assert found.figures["accuracy"] < 1


@pytest.mark.parametrize(
    ("labels", "message"),
    [(np.array([], int), "No answer has a label"), (np.array([0, -1, 3]), "2 labels are none of")],
    ids=["none", "strange"],
)
def test_labels_that_say_nothing_are_refused(labels: np.ndarray, message: str) -> None:
    rows = len(labels)

    with pytest.raises(WindowError, match=message):
        realised(CLASSES, ANSWERS.predicted[:rows], labels, ANSWERS.probabilities[:rows])

"""Thresholds miss no more findings than they may, and decide as a bundle's do."""

from typing import Any

import numpy as np
import pandas as pd
import pytest

from pipelines.evaluation.decisions import Decisions
from pipelines.evaluation.judging import thresholds_of
from pipelines.evaluation.metrics import measure
from pipelines.evaluation.operating_point import (
    choose_thresholds,
    decide,
    finding_share,
    threshold_at,
    threshold_for,
    thresholds_at,
    youden,
)
from tests.pipelines.data.small_collection import small_spec
from tests.pipelines.evaluation.answers import CLASSES, answers, labels_of

FINDINGS = ("a", "c")
RNG = np.random.default_rng(1)


@pytest.mark.parametrize("sensitivity", [0.9, 0.95, 0.99, 0.999])
def test_the_sensitivity_asked_for_is_reached_with_the_least_false_alarms(
    sensitivity: float,
) -> None:
    rng = np.random.default_rng(0)
    labels = labels_of(600, rng=rng)
    probabilities = answers(labels, skill=1.5, rng=rng)

    chosen = choose_thresholds(
        labels, probabilities, CLASSES, findings=FINDINGS, sensitivity=sensitivity
    )

    answers_by = Decisions.by_thresholds(probabilities, CLASSES, chosen)
    found = measure(labels, answers_by, findings=FINDINGS)
    reached = found["sensitivity.any_finding"]
    assert reached >= sensitivity
    # one more missed would be one too many
    assert reached - 1 / (labels != 1).sum() < sensitivity or chosen["a"] == 0.5
    assert chosen["a"] == chosen["c"] == pytest.approx(1 - chosen["b"])
    assert chosen["a"] <= 0.5


def test_where_the_likeliest_class_misses_few_enough_it_decides() -> None:
    labels = np.array([0, 0, 1, 1, 2])
    probabilities = np.eye(3)[labels] * 0.9 + 0.03

    chosen = choose_thresholds(labels, probabilities, CLASSES, findings=FINDINGS, sensitivity=0.9)

    assert chosen == {"a": 0.5, "b": 0.5, "c": 0.5}
    assert (decide(probabilities, CLASSES, chosen) == probabilities.argmax(axis=1)).all()


def test_among_findings_the_likeliest_is_named() -> None:
    careful = {"a": 0.1, "b": 0.9, "c": 0.1}
    probabilities = np.array([[0.1, 0.75, 0.15], [0.15, 0.75, 0.1], [0.02, 0.96, 0.02]])

    assert decide(probabilities, CLASSES, careful).tolist() == [2, 0, 1]
    assert decide(probabilities, CLASSES, None).tolist() == [1, 1, 1]


def test_a_threshold_of_findings_leaves_the_rest_of_1_to_the_others() -> None:
    found = thresholds_at(0.2, CLASSES, findings=FINDINGS)

    assert found == {"a": 0.2, "b": 0.8, "c": 0.2}
    probabilities = np.array([[0.22, 0.75, 0.03], [0.10, 0.75, 0.15]])
    assert decide(probabilities, CLASSES, found).tolist() == [0, 1]


def test_of_two_classes_a_threshold_is_the_probability_from_which_on_it_is_a_finding() -> None:
    scores = np.linspace(0.005, 0.995, 100)
    probabilities = np.stack([scores, 1 - scores], axis=1)
    harmful = np.array([True, False])

    assert finding_share(probabilities, harmful) == pytest.approx(scores)
    decided = decide(probabilities, ("ill", "well"), {"ill": 0.2, "well": 0.8})
    assert ((decided == 0) == (scores > 0.2)).all()


def test_a_finding_that_nothing_speaks_for_does_not_make_everything_one() -> None:
    labels = np.array([0] + [1] * 50)
    probabilities = np.tile([1e-6, 1 - 2e-6, 1e-6], (51, 1))

    chosen = choose_thresholds(labels, probabilities, CLASSES, findings=FINDINGS, sensitivity=0.99)

    assert chosen["a"] == 1e-3
    assert (decide(probabilities, CLASSES, chosen) == 1).all()


ILL = np.array([True, True, True, True, False, False, False, False])
SHARE = np.array([0.9, 0.8, 0.6, 0.2, 0.7, 0.4, 0.3, 0.1])


@pytest.mark.parametrize(
    ("sensitivity", "threshold"), [(0.5, 0.75), (0.75, 0.5), (0.76, 0.15), (1.0, 0.15)]
)
def test_a_threshold_lies_between_the_last_finding_that_counts_and_the_next_image(
    sensitivity: float, threshold: float
) -> None:
    assert threshold_for(ILL, SHARE, sensitivity=sensitivity) == pytest.approx(threshold)


def test_youdens_threshold_has_the_largest_sum_of_sensitivity_and_specificity() -> None:
    limit = youden(ILL, SHARE)

    # of the four, three are found and one of the others is called: J is 0.5, as for two and none
    sums = {at: (at < SHARE)[ILL].mean() + (at >= SHARE)[~ILL].mean() for at in (limit, *SHARE)}
    assert sums[limit] == max(sums.values()) == 1.5
    assert limit not in SHARE


def test_a_model_that_is_worse_than_chance_calls_every_image_a_finding() -> None:
    limit = youden(~ILL, SHARE * [1, 1, 1, 1, 0.1, 0.1, 0.1, 0.1])

    assert 0 < limit < 0.05


@pytest.mark.parametrize(("specificity", "threshold"), [(0.5, 0.35), (0.75, 0.5), (0.99, 0.75)])
def test_a_target_specificity_has_the_lowest_threshold_that_reaches_it(
    specificity: float, threshold: float
) -> None:
    found = threshold_at(ILL, SHARE, specificity=specificity)

    assert found == pytest.approx(threshold)
    assert (found >= SHARE)[~ILL].mean() >= specificity


WELL = Decisions.by_likeliest(np.stack([1 - SHARE, SHARE], axis=1), ("well", "ill"))


@pytest.mark.parametrize(
    ("operating", "threshold"),
    [
        ({}, None),
        ({"youden": True}, 0.75),
        ({"finding_sensitivity": 0.75}, 0.5),
        ({"finding_sensitivity": 0.5}, 0.5),  # never above: the likeliest class would do better
        ({"finding_specificity": 0.99}, 0.75),
        ({"cost_ratio": 9}, 0.1),
        ({"finding_threshold": 0.3}, 0.3),
        ({"thresholds": {"well": 0.7, "ill": 0.3}}, 0.3),
    ],
)
def test_each_way_to_choose_the_operating_point(
    operating: dict[str, Any], threshold: float | None
) -> None:
    classes = [{"name": n, "title": n, "finding": n == "ill"} for n in WELL.classes]
    spec = small_spec(classes=classes, operating=operating)
    rows = pd.DataFrame({"label": np.where(ILL, "ill", "well")})
    rows[["probability.well", "probability.ill"]] = WELL.probabilities

    found = thresholds_of(spec, rows)

    if threshold is None:
        assert found is None
    else:
        assert found == pytest.approx({"well": 1 - threshold, "ill": threshold})


def test_certainty_is_the_probability_where_the_likeliest_class_decides() -> None:
    probabilities = answers(labels_of(50, rng=np.random.default_rng(0)), skill=1, rng=RNG)

    for thresholds in (None, dict.fromkeys(CLASSES, 0.5), dict.fromkeys(CLASSES, 0.1)):
        found = Decisions.by_thresholds(probabilities, CLASSES, thresholds)
        assert found.certainty == pytest.approx(probabilities.max(axis=1))
        assert found.confidence == pytest.approx(found.certainty)


def test_certainty_is_one_half_at_the_threshold_and_grows_to_either_side() -> None:
    scores = np.array([0.001, 0.05, 0.0999, 0.1001, 0.2, 0.6, 0.999])
    probabilities = np.stack([scores, 1 - scores], axis=1)

    found = Decisions.by_thresholds(
        probabilities, ("ill", "well"), {"ill": 0.1, "well": 0.9}, min_certainty=0.6
    )

    assert found.names.tolist() == ["well"] * 3 + ["ill"] * 4
    assert found.certainty[2:4] == pytest.approx(0.5, abs=1e-3)
    assert (np.diff(found.certainty[:3]) < 0).all()
    assert (np.diff(found.certainty[3:]) > 0).all()
    # a finding that the threshold gained at p = 0.2 is answered; close to the threshold none is
    assert found.certainty[4] == pytest.approx(2 / (2 + 0.8 / 0.9))
    assert found.abstained.tolist() == [False, False, True, True, False, False, False]
    assert found.confidence == pytest.approx([0.999, 0.95, 0.9001, 0.1001, 0.2, 0.6, 0.999])


def test_a_threshold_below_every_image_is_above_nothing() -> None:
    assert threshold_for(ILL, SHARE, sensitivity=1) > 0
    assert threshold_for(np.ones(2, bool), np.array([0.4, 0.6]), sensitivity=1) == 0.2

"""McNemar's and DeLong's tests of challenger and champion, as the report shows them."""

import numpy as np
import pytest

from pipelines.evaluation.decisions import Decisions
from pipelines.evaluation.targets import Probabilities
from pipelines.release.paired_tests import DELONG, MCNEMAR, PairedTest, paired_tests

CLASSES = ("ill", "well")
LABELS = np.repeat([0, 1], 40)


def answers(wrong: list[int]) -> Probabilities:
    """Sure answers to `LABELS`, wrong at these positions."""
    truth = LABELS.copy()
    truth[wrong] = 1 - truth[wrong]
    return np.stack([1.0 - truth, truth], axis=1) * 0.8 + 0.1


def apart(ours: Probabilities, theirs: Probabilities, groups: list[str]) -> dict[str, PairedTest]:
    one, other = (Decisions.by_likeliest(said, CLASSES) for said in (ours, theirs))
    found = paired_tests(LABELS, one, other, groups=groups)
    return {one.figure: one for one in found}


def test_images_that_one_of_the_two_gets_right_are_counted_class_by_class() -> None:
    found = apart(answers([0, 1, 50]), answers([1, 2, 3, 4, 60]), [str(n) for n in range(80)])

    whole, ill, well = (found[name] for name in ("accuracy", *_of("sensitivity")))
    assert (whole.only_challenger, whole.only_champion) == (4, 2)
    assert (ill.only_challenger, ill.only_champion) == (3, 1)
    assert (well.only_challenger, well.only_champion) == (1, 1)
    assert whole.apart.value == pytest.approx(2 / 80)
    assert ill.apart.value == pytest.approx(2 / 40)
    assert {one.test for one in (whole, ill, well)} == {MCNEMAR}


def test_areas_are_tested_by_what_each_model_gave_the_class() -> None:
    found = apart(answers(list(range(20))), answers([]), [str(n) for n in range(80)])

    ill, well = (found[name] for name in _of("auroc"))
    assert ill.test == DELONG
    assert ill.apart.value == pytest.approx(-0.25)
    assert ill.apart.high < 0
    assert ill.apart.p < 0.001
    assert well.apart.value == pytest.approx(ill.apart.value)
    assert ill.only_challenger is None


def test_images_of_one_patient_count_as_one_another() -> None:
    ours, theirs = answers(list(range(10))), answers([])
    alone = apart(ours, theirs, [str(n) for n in range(80)])
    together = apart(ours, theirs, [str(n // 10) for n in range(80)])

    assert alone["accuracy"].apart.p < 0.01
    assert together["accuracy"].apart.p > 0.1


def test_a_class_of_one_patient_is_not_tested() -> None:
    groups = ["one"] * 40 + [str(n) for n in range(40)]

    assert set(apart(answers([0]), answers([1]), groups)) == {"accuracy", "sensitivity.well"}


def _of(measure: str) -> tuple[str, ...]:
    return tuple(f"{measure}.{name}" for name in CLASSES)

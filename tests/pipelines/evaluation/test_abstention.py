"""What an answer says of itself."""

from dataclasses import replace

import numpy as np
import pytest

from pipelines.evaluation.abstention import Case, Reason, contrast, why_abstain, why_review
from pipelines.spec import AbstentionSpec, ReviewSpec

RULES = AbstentionSpec(min_confidence=0.6, min_contrast=5, min_side=64)
GOOD = Case(certainty=0.6, shorter_side=64, contrast=5.0, unlikeness=1.0)
"""Just within every rule."""

CASES = [
    (GOOD, []),
    (replace(GOOD, unlikeness=None), []),
    (replace(GOOD, certainty=0.59), ["low_confidence"]),
    (replace(GOOD, shorter_side=63), ["small_image"]),
    (replace(GOOD, contrast=4.9), ["low_contrast"]),
    (replace(GOOD, unlikeness=1.01), ["unlike_training_data"]),
    (
        Case(certainty=0.3, shorter_side=40, contrast=0, unlikeness=7),
        ["unlike_training_data", "low_contrast", "small_image", "low_confidence"],
    ),
]


@pytest.mark.parametrize(("case", "codes"), CASES)
def test_each_rule_that_is_broken_is_a_reason(case: Case, codes: list[str]) -> None:
    assert [reason.code for reason in why_abstain(RULES, case)] == codes


def test_a_reason_names_what_was_found_and_what_is_needed() -> None:
    case = Case(certainty=0.31, shorter_side=40, contrast=1.25, unlikeness=3.2)

    told = [reason.message for reason in why_abstain(RULES, case)]

    for message, named in zip(told, ("3.2 times", "1.2 of 256", "40 pixels", "31%"), strict=True):
        assert named in message
    assert "60%" in told[-1]


def test_contrast_is_the_spread_of_the_shades() -> None:
    halves = np.zeros((10, 10, 3), np.uint8)
    halves[:5] = 40

    assert contrast(halves) == pytest.approx(20)
    assert contrast(np.full((10, 10, 3), 90, np.uint8)) == 0


@pytest.mark.parametrize(
    ("is_finding", "finding_probability", "codes"),
    [
        (True, 0.9, ["finding"]),
        (True, 0.1, ["finding"]),
        (False, 0.2, ["possible_finding"]),
        (False, 0.19, []),
    ],
)
def test_a_finding_or_one_that_is_not_excluded_asks_for_a_person(
    is_finding: bool, finding_probability: float, codes: list[str]
) -> None:
    reasons = why_review(
        ReviewSpec(possible_finding=0.2),
        decided="Glioma",
        is_finding=is_finding,
        finding_probability=finding_probability,
        abstained=(),
    )

    assert [reason.code for reason in reasons] == codes


def test_whatever_the_model_abstained_for_asks_for_a_person_too() -> None:
    doubt = Reason("unlike_training_data", "It is unlike them.")

    reasons = why_review(
        ReviewSpec(),
        decided="No tumour",
        is_finding=False,
        finding_probability=0,
        abstained=(doubt,),
    )

    assert reasons == (doubt,)

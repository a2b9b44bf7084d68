"""Whether an answer can be relied on, and whether a person should see the case first.

A model always answers something: of a case it cannot tell, of a picture that shows nothing, and
of a picture that is no scan of its kind. What is said here of an answer stands beside it; the
answer itself is not changed.
"""

from dataclasses import dataclass
from typing import Literal

import cv2
import numpy as np
from numpy.typing import NDArray

from pipelines.spec import AbstentionSpec, ReviewSpec

Code = Literal[
    "low_confidence",
    "low_contrast",
    "small_image",
    "unlike_training_data",
    "finding",
    "possible_finding",
]


@dataclass(frozen=True)
class Reason:
    """Why an answer should not be relied on, or why a person should see the case."""

    code: Code
    message: str


@dataclass(frozen=True)
class Case:
    """What the rules look at."""

    certainty: float
    """How clearly the class was decided for, 0 to 1; see `operating_point.weigh`. Without
    thresholds it is the calibrated probability of the decided class."""
    shorter_side: int
    """Of the image as it came, in pixels."""
    contrast: float
    """See `contrast`."""
    unlikeness: float | None = None
    """See `Novelty.unlikeness`; above 1 is unlike the training images. ``None``: not known."""


def contrast(image: NDArray[np.uint8]) -> float:
    """The standard deviation of an image's brightest-varying channel, in shades of 256.

    Args:
        image: uint8 (height, width, 3).
    """
    return float(cv2.meanStdDev(image)[1].max())


def why_abstain(rules: AbstentionSpec, case: Case) -> tuple[Reason, ...]:
    """Why an answer should not be relied on; nothing where it may be."""
    reasons = []
    if case.unlikeness is not None and case.unlikeness > 1:
        reasons.append(
            Reason(
                "unlike_training_data",
                "The image is unlike those the model learnt from: "
                f"{case.unlikeness:.1f} times as far from them as an image may be.",
            )
        )
    if case.contrast < rules.min_contrast:
        reasons.append(
            Reason(
                "low_contrast",
                f"The image shows next to nothing: its shades vary by {case.contrast:.1f} of 256; "
                f"at least {rules.min_contrast:g} are needed.",
            )
        )
    if case.shorter_side < rules.min_side:
        reasons.append(
            Reason(
                "small_image",
                f"The image is small: its shorter side has {case.shorter_side} pixels; at least "
                f"{rules.min_side} are needed.",
            )
        )
    if case.certainty < rules.min_confidence:
        reasons.append(
            Reason(
                "low_confidence",
                "The model is not sure: the certainty of its decision is "
                f"{case.certainty:.0%}; at least {rules.min_confidence:.0%} is needed.",
            )
        )
    return tuple(reasons)


def why_review(
    rules: ReviewSpec,
    *,
    decided: str,
    is_finding: bool,
    finding_probability: float,
    abstained: tuple[Reason, ...],
) -> tuple[Reason, ...]:
    """Why a person should see the case first; nothing where there is no need.

    Args:
        rules: of the data set.
        decided: title of the decided class.
        is_finding: whether that is a finding.
        finding_probability: of all findings together, 0 to 1.
        abstained: see `why_abstain`; each is a reason for review, too.
    """
    if is_finding:
        first = [Reason("finding", f"The model sees a finding: {decided}.")]
    elif finding_probability >= rules.possible_finding:
        told = f"A finding is not excluded: the model gives it {finding_probability:.0%}."
        first = [Reason("possible_finding", told)]
    else:
        first = []
    return (*first, *abstained)

"""The question whether an image has any finding, as thresholds and decision curves ask it."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pipelines.evaluation.operating_point import finding_share
from pipelines.evidence.subject import Subject
from pipelines.outputs import SplitName


@dataclass(frozen=True)
class Question:
    """Any finding against none, on the images of one split."""

    ill: NDArray[np.bool_]
    """(n,) whether there is one."""
    probability: NDArray[np.float64]
    """(n,) calibrated, of all findings together."""
    share: NDArray[np.float64]
    """(n,) what is held against the threshold; see `operating_point.finding_share`."""
    groups: list[str]

    @property
    def prevalence(self) -> float:
        """Share of images with a finding."""
        return float(self.ill.mean())


def any_finding(subject: Subject, split: SplitName) -> Question | None:
    """The question on a split; ``None`` where all classes are findings, or none."""
    harmful = np.isin(subject.classes, subject.spec.findings)
    if harmful.all() or not harmful.any():
        return None
    probabilities = subject.probabilities(split)
    return Question(
        ill=harmful[subject.labels(split)],
        probability=probabilities[:, harmful].sum(axis=1).clip(0, 1),
        share=finding_share(probabilities, harmful),
        groups=subject.of(split)["group"].tolist(),
    )


def prevalence_told(subject: Subject, question: Question) -> tuple[float, str]:
    """The prevalence that figures are told for, and in words where it is from."""
    stated = subject.spec.operating.prevalence
    if stated is None:
        return question.prevalence, f"{question.prevalence:.1%}, that of the test set"
    return stated, f"{stated:.1%}, stated for where the model is used"

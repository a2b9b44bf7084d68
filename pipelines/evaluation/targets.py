"""What is told from the rest: each class, and any finding against none.

A missed tumour harms whatever kind of tumour it is called, so besides the classes stands
``any_finding``: an image is of it if its class is a finding, is decided for it if the decided
class is one, and is given it the probabilities of all findings together.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pipelines.evaluation.decisions import Decisions

ANY_FINDING = "any_finding"

Labels = NDArray[np.integer]
Probabilities = NDArray[np.floating]


@dataclass(frozen=True)
class Targets:
    """Predictions as questions with two answers each, one column a question."""

    names: tuple[str, ...]
    truth: NDArray[np.bool_]
    """(n, targets) whether it is so."""
    decided: NDArray[np.bool_]
    """(n, targets) whether the model decided so."""
    scores: NDArray[np.float64]
    """(n, targets) the probability it gave."""

    def column(self, name: str) -> tuple[NDArray[np.bool_], NDArray[np.float64]]:
        """(n,) truth and (n,) score of one target."""
        index = self.names.index(name)
        return self.truth[:, index], self.scores[:, index]


def targets_of(
    labels: Labels,
    answers: Decisions,
    *,
    findings: Sequence[str] = (),
) -> Targets:
    """Each class against the rest, and any finding against none.

    Args:
        labels: (n,) index of the true class.
        answers: to the n images.
        findings: those of the classes that are findings; where none or all are, ``any_finding``
            asks nothing and is left out.
    """
    indices = np.arange(len(answers.classes))
    names = answers.classes
    truth = labels[:, None] == indices
    decided = answers.decided[:, None] == indices
    scores = np.asarray(answers.probabilities, np.float64)
    harmful = np.isin(names, findings)
    if harmful.any() and not harmful.all():
        names = (*names, ANY_FINDING)
        truth, decided = (
            np.column_stack([part, part[:, harmful].any(axis=1)]) for part in (truth, decided)
        )
        scores = np.column_stack([scores, scores[:, harmful].sum(axis=1)])
    return Targets(names, truth, decided, scores)

"""A model's answers for a set of images: the one type by which right and wrong are counted.

The class that the service decides for is not always the likeliest one
(`pipelines.evaluation.operating_point`). Everything that counts right and wrong answers takes
`Decisions`, so that evaluation, evidence, gate, monitor and reports count what was served.
`tests/test_decisions.py` refuses a second rule anywhere else.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pipelines.evaluation.calibration import Labels, Probabilities
from pipelines.evaluation.operating_point import Thresholds, decide, weigh

Flags = NDArray[np.bool_]


@dataclass(frozen=True)
class Decisions:
    """What a model answered to n images. Made by `by_thresholds`, `by_likeliest` or `recorded`."""

    classes: tuple[str, ...]
    """In the order of the model's outputs."""
    probabilities: Probabilities
    """(n, classes), calibrated."""
    thresholds: Thresholds | None
    """Class → threshold; ``None`` where the likeliest class decides, or where the decision was
    recorded without its thresholds."""
    decided: NDArray[np.intp]
    """(n,) index of the class decided for."""
    certainty: Probabilities
    """(n,) how clearly that class was decided for, 0 to 1; see `operating_point.weigh`. NaN for
    recorded decisions, whose thresholds are not known."""
    abstained: Flags
    """(n,) whether the answer is marked as one that should not be relied on."""

    @classmethod
    def by_thresholds(
        cls,
        probabilities: Probabilities,
        classes: Sequence[str],
        thresholds: Thresholds | None,
        *,
        min_certainty: float = 0.0,
    ) -> "Decisions":
        """Decide as the service does.

        Args:
            probabilities: (n, classes), calibrated.
            classes: their names.
            thresholds: of each class; the likeliest decides if ``None``.
            min_certainty: an answer of less certainty counts as abstained.
        """
        decided = decide(probabilities, classes, thresholds)
        rows = np.arange(len(decided))
        certainty = weigh(probabilities, classes, thresholds)[rows, decided]
        return cls(
            classes=tuple(classes),
            probabilities=probabilities,
            thresholds=thresholds,
            decided=decided,
            certainty=certainty,
            abstained=np.asarray(certainty < min_certainty),
        )

    @classmethod
    def by_likeliest(cls, probabilities: Probabilities, classes: Sequence[str]) -> "Decisions":
        """Decide for the likeliest class, whatever thresholds are set (argmax)."""
        return cls.by_thresholds(probabilities, classes, None)

    @classmethod
    def recorded(
        cls,
        probabilities: Probabilities,
        classes: Sequence[str],
        decided: NDArray[np.integer],
        *,
        abstained: Flags | None = None,
    ) -> "Decisions":
        """Decisions that were made and written down elsewhere, as in samples of the service.

        Args:
            probabilities: (n, classes), calibrated.
            classes: their names.
            decided: (n,) index of the class decided for.
            abstained: (n,); none did if ``None``.
        """
        return cls(
            classes=tuple(classes),
            probabilities=probabilities,
            thresholds=None,
            decided=np.asarray(decided, np.intp),
            certainty=np.full(len(decided), np.nan),
            abstained=np.zeros(len(decided), bool) if abstained is None else abstained,
        )

    def __len__(self) -> int:
        return len(self.decided)

    @property
    def names(self) -> NDArray[np.str_]:
        """(n,) name of the class decided for."""
        return np.array(self.classes)[self.decided]

    @property
    def confidence(self) -> Probabilities:
        """(n,) calibrated probability of the class decided for."""
        return np.asarray(self.probabilities[np.arange(len(self)), self.decided])

    @property
    def likeliest(self) -> "Decisions":
        """The same answers with the likeliest class decided for (argmax)."""
        return Decisions.by_likeliest(self.probabilities, self.classes)

    def right(self, labels: Labels) -> Flags:
        """(n,) whether the class decided for is the true one.

        Args:
            labels: (n,) index of the true class.
        """
        return np.asarray(self.decided == labels)

    def take(self, rows: NDArray[np.integer] | Flags) -> "Decisions":
        """Some of the images, by position or by a mask."""
        return Decisions(
            classes=self.classes,
            probabilities=self.probabilities[rows],
            thresholds=self.thresholds,
            decided=self.decided[rows],
            certainty=self.certainty[rows],
            abstained=self.abstained[rows],
        )

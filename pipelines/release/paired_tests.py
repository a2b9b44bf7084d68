"""The tests that readers of a comparison look for: McNemar's of right answers, DeLong's of areas.

They stand beside the gate's own way (the paired bootstrap of `evaluation.paired`) and decide
nothing. Both are taken in Obuchowski's form for images that come in groups.
"""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from pipelines.evaluation.decisions import Decisions
from pipelines.evaluation.delong import delong
from pipelines.evaluation.mcnemar import clustered, discordant
from pipelines.evaluation.paired import Difference
from pipelines.evaluation.targets import Labels

MCNEMAR = "McNemar"
DELONG = "DeLong"


class PairedTest(NamedTuple):
    """What one test says of two models that answered the same images."""

    figure: str
    """What differs, named as by `metrics.measure`."""
    test: str
    apart: Difference
    """Challenger less champion."""
    only_challenger: int | None = None
    """Images on which the challenger alone is right; ``None`` for a test of areas."""
    only_champion: int | None = None


def paired_tests(
    labels: Labels,
    ours: Decisions,
    theirs: Decisions,
    *,
    groups: Sequence[str],
) -> tuple[PairedTest, ...]:
    """Test accuracy, and sensitivity and area of each class.

    Args:
        labels: (n,) index of the true class.
        ours: the challenger's answers to the n images.
        theirs: the champion's, with the same classes in the same order.
        groups: (n,) what each image belongs to.

    Returns:
        The tests; one whose images are all of one group is left out, as nothing is known of
        chance there.
    """
    right, members = (ours.right(labels), theirs.right(labels)), np.asarray(groups)
    everything = np.ones(len(labels), bool)
    found = list(_mcnemar("accuracy", right, everything, members))
    for index, name in enumerate(ours.classes):
        shown = labels == index
        found += _mcnemar(f"sensitivity.{name}", right, shown, members)
        if _several(members[shown]) and _several(members[~shown]):
            scores = (one.probabilities[:, index] for one in (ours, theirs))
            apart = delong(shown, *scores, groups=members.tolist())
            found.append(PairedTest(f"auroc.{name}", DELONG, apart))
    return tuple(found)


def _mcnemar(
    figure: str,
    right: tuple[NDArray[np.bool_], NDArray[np.bool_]],
    asked: NDArray[np.bool_],
    members: NDArray[np.str_],
) -> Iterator[PairedTest]:
    if _several(members[asked]):
        ours, theirs = (one[asked] for one in right)
        apart = clustered(ours, theirs, groups=members[asked].tolist())
        yield PairedTest(figure, MCNEMAR, apart, *discordant(ours, theirs))


def _several(members: NDArray[np.str_]) -> bool:
    return len(np.unique(members)) > 1

"""Candidates that are made of others, or learn from them."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pipelines.spec.models import CandidateSpec

ENSEMBLE = "ensemble"


def require_whole_ensemble(candidate: "CandidateSpec") -> None:
    """Refuse members without an ensemble, an ensemble without members, and idle teachers.

    Raises:
        ValueError: saying what goes together.
    """
    if (candidate.recipe == ENSEMBLE) != (len(candidate.members) > 1):
        raise ValueError(
            "recipe 'ensemble' and 'members: [two candidates or more]' go together; "
            "write both or none"
        )
    if (candidate.recipe == ENSEMBLE) != (candidate.model == ENSEMBLE):
        raise ValueError("recipe 'ensemble' and 'model: ensemble' go together; write both or none")
    if candidate.recipe == ENSEMBLE and candidate.weights is not None:
        raise ValueError("an ensemble has its members' weights; write 'weights: null'")
    if candidate.teachers and candidate.recipe not in ("finetune", "scratch"):
        raise ValueError(
            "teachers answer for augmented images, which only recipes 'finetune' and 'scratch' "
            "train on; choose one of them, or leave teachers out"
        )
    if candidate.tune and (candidate.members or candidate.teachers):
        raise ValueError("tune means nothing where members or teachers are named; leave it out")


def require_earlier(candidates: Sequence["CandidateSpec"]) -> None:
    """Refuse a candidate whose members or teachers do not stand before it: so none is made of
    itself.

    Raises:
        ValueError: naming both.
    """
    earlier: dict[str, CandidateSpec] = {}
    for candidate in candidates:
        for name in candidate.others:
            if name not in earlier:
                raise ValueError(
                    f"candidate {candidate.name!r} names {name!r}, which is no candidate listed "
                    "before it"
                )
            if earlier[name].recipe == "logistic":
                raise ValueError(
                    f"candidate {candidate.name!r} names {name!r}, a regression on features; only "
                    "networks can be averaged or teach"
                )
        earlier[candidate.name] = candidate

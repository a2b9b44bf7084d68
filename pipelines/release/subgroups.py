"""Challenger beside another version, subgroup by subgroup: a better whole may hide a worse part."""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from pipelines.evaluation.intervals import draws
from pipelines.evaluation.paired import Difference, difference
from pipelines.release.rules import Subgroup


def compare_subgroups(
    ours: NDArray[np.bool_],
    theirs: NDArray[np.bool_],
    *,
    groups: Sequence[str],
    parts: Mapping[str, "pd.Series[str]"],
    least: int,
    seed: int,
) -> tuple[tuple[Subgroup, ...], list[str]]:
    """Compare the accuracy of two models on each part of the same images.

    Args:
        ours: (n,) whether one model was right.
        theirs: (n,) whether the other was.
        groups: (n,) what each image belongs to.
        parts: field → (n,) its value for each image, missing where it is not known.
        least: fewest images of a part that is judged.
        seed: of the resampling.

    Returns:
        The parts that are large enough, and a sentence for each field with smaller ones.
    """
    apart = ours.astype(np.float64) - theirs
    belongs = np.asarray(groups)
    judged, notes = [], []
    for field, values in parts.items():
        counts = values.value_counts().sort_index()
        for value, images in counts[counts >= least].items():
            of = (values == value).to_numpy(bool)
            found = _mean(apart[of], belongs[of].tolist(), seed=seed)
            independent = len(set(belongs[of].tolist()))
            judged.append(Subgroup(f"{field}: {value}", int(images), found, independent))
        if (counts < least).any():
            small = ", ".join(f"{v} ({n})" for v, n in counts[counts < least].items())
            notes.append(f"Too few images to judge by {field} (under {least}): {small}.")
    return tuple(judged), notes


def _mean(apart: NDArray[np.float64], groups: list[str], *, seed: int) -> Difference:
    """The mean of differences by image, by the paired cluster bootstrap."""
    drawn = [weights @ apart / weights.sum(axis=1) for weights in draws(groups, seed=seed)]
    return difference(float(apart.mean()), np.concatenate(drawn))

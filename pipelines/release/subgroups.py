"""Challenger beside champion, subgroup by subgroup: a better whole may hide a worse part."""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from pipelines.evaluation.targets import Labels, Probabilities
from pipelines.evaluation.paired import paired_bootstrap
from pipelines.release.rules import Subgroup


def compare_subgroups(
    labels: Labels,
    ours: Probabilities,
    theirs: Probabilities,
    *,
    classes: Sequence[str],
    groups: Sequence[str],
    parts: Mapping[str, "pd.Series[str]"],
    least: int,
    seed: int,
) -> tuple[tuple[Subgroup, ...], list[str]]:
    """Compare the accuracy of two models on each part of the same images.

    Args:
        labels: (n,) index of the true class.
        ours: (n, classes) what one model said.
        theirs: (n, classes) what the other said.
        classes: their names.
        groups: (n,) what each image belongs to.
        parts: field → (n,) its value for each image, null where it is not known.
        least: fewest images of a part that is judged.
        seed: of the resampling.

    Returns:
        The parts that are large enough, and a sentence for each field with smaller ones. A field
        that is the same for all images makes no subgroup.
    """
    judged, notes = [], []
    for field, values in parts.items():
        counts = values.value_counts().sort_index()
        if len(counts) < 2:
            continue
        large = counts[counts >= least]
        for value, images in large.items():
            of = (values == value).to_numpy(bool)
            apart = paired_bootstrap(
                labels[of],
                ours[of],
                theirs[of],
                classes=classes,
                groups=list(np.asarray(groups)[of]),
                seed=seed,
            )
            judged.append(Subgroup(f"{field} {value}", int(images), apart["accuracy"]))
        if len(large) < len(counts):
            small = ", ".join(f"{v} ({n})" for v, n in counts[counts < least].items())
            notes.append(f"Too few images to judge by {field} (under {least}): {small}.")
    return tuple(judged), notes

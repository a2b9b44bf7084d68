"""Which part of the training images with masks each further network does not learn from.

A network finds the lesions of images it has learned from too well: a classifier trained on those
crops would be served worse ones. So the groups (patients, lesions, clusters of copies) are divided
into folds, and each fold is cropped by a network trained on the masks of the others.
"""

import hashlib
from collections.abc import Iterable

from pipelines.errors import TrainingError

FEWEST = 2


def divided(groups: Iterable[str], *, folds: int, seed: int) -> dict[str, int]:
    """Group → fold, counted from 0; folds of as many groups as possible, in an order by chance.

    Args:
        groups: of the training images that have a mask.
        folds: how many; as many as there are groups, where there are fewer.
        seed: of the order; the same groups and seed give the same folds.

    Raises:
        TrainingError: there are not two groups.
    """
    ordered = sorted(set(groups), key=lambda group: _key(seed, group))
    if len(ordered) < FEWEST:
        raise TrainingError(
            f"Training images with a mask come from {len(ordered)} group (patient, lesion); at "
            f"least {FEWEST} are needed, as each is cropped by a network that has learned from "
            "others. Land masks of more patients, or do not crop to lesions (image.crop)."
        )
    return {group: place % min(folds, len(ordered)) for place, group in enumerate(ordered)}


def _key(seed: int, group: str) -> str:
    return hashlib.sha256(f"{seed}:{group}".encode()).hexdigest()

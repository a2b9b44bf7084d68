"""Test images, drawn by a seed, for evidence that would take too long on all of them."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pipelines.evidence.heat import Pictures, Targets
from pipelines.evidence.subject import Subject


@dataclass(frozen=True)
class Sample:
    """Images of the test split in an order drawn by chance; n of them, m with a mask."""

    pictures: Pictures
    """(n, size, size, 3)."""
    labels: Targets
    """(n,) index of the true class."""
    decided: Targets
    """(n,) index of the class the model decided for."""
    called: NDArray[np.bool_]
    """(n,) whether that class is a finding."""
    groups: NDArray[np.str_]
    """(n,)"""
    masked: NDArray[np.int64]
    """(m,) which of them came with a mask of the lesion."""
    masks: NDArray[np.bool_]
    """(m, size, size), true on the lesion."""


def draw_sample(subject: Subject, images: int) -> Sample:
    """Draw images of the test split; half of them among those with a mask, where there are any.

    Args:
        subject: what is judged.
        images: most to draw.
    """
    rows, split = subject.of("test"), subject.data.split("test")
    lesions = set(split.with_lesion().tolist())
    rng = np.random.default_rng(subject.seed)
    order = rng.permutation(len(rows)).tolist()
    without = [i for i in order if i not in lesions]
    shown = [i for i in order if i in lesions][: max(images // 2, images - len(without))]
    drawn = rng.permutation(shown + without[: images - len(shown)]).tolist()
    answers = subject.answers("test").take(np.array(drawn, np.intp))
    masked = [(n, i) for n, i in enumerate(drawn) if i in lesions]
    return Sample(
        pictures=split.pixels(drawn),
        labels=subject.labels("test")[drawn],
        decided=answers.decided.astype(np.int64),
        called=np.isin(answers.names, subject.spec.findings),
        groups=rows["group"].iloc[drawn].to_numpy(str),
        masked=np.array([n for n, _ in masked], np.int64),
        masks=split.lesions([i for _, i in masked]),
    )

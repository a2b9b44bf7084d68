"""What a bundle knows of the limits of its model: what is unlike its training images, and how
often it abstains."""

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pipelines.data.input.training_set import Batch
from pipelines.evaluation.abstention import Case, contrast, why_abstain
from pipelines.evaluation.calibration import softmax
from pipelines.evaluation.decisions import Decisions
from pipelines.evaluation.novelty import Novelty, fit_novelty, pool
from pipelines.release.bundle import BundleManifest
from pipelines.release.runtime import Runtime


@dataclass(frozen=True)
class Seen:
    """A batch of images as a model sees them."""

    pooled: NDArray[np.float32]
    """(n, channels) the feature map's means."""
    logits: NDArray[np.float32]
    """(n, classes)"""
    labels: NDArray[np.int32]
    """(n,) index of the true class."""
    contrasts: list[float]
    """See `abstention.contrast`."""


def learn_novelty(
    runtime: Runtime,
    training: Iterable[Batch],
    validation: Iterable[Batch],
    *,
    false_alarms: float,
) -> Novelty:
    """What the training images look like to a model; see `fit_novelty`."""
    learnt = (seen.pooled for seen in _look(runtime, training))
    held_out = np.concatenate([seen.pooled for seen in _look(runtime, validation)])
    return fit_novelty(learnt, held_out, false_alarms=false_alarms)


def abstention_figures(
    runtime: Runtime,
    test: Iterable[Batch],
    *,
    manifest: BundleManifest,
    novelty: Novelty,
) -> dict[str, float]:
    """What the rules of abstention come to on test images.

    Returns:
        ``abstained`` (share of the images), ``abstained.<code>`` for each reason that occurs,
        ``accuracy_answered`` and, where there are such images, ``accuracy_abstained``. The size
        of the originals is not looked at.
    """
    codes: Counter[str] = Counter()
    right: dict[bool, list[bool]] = {True: [], False: []}
    for seen in _look(runtime, test):
        answers = softmax(seen.logits, manifest.temperature)
        decisions = Decisions.by_thresholds(answers, manifest.class_names, manifest.thresholds)
        hits = decisions.right(seen.labels)
        unlikeness = novelty.distances(seen.pooled) / novelty.limit
        for position, certainty in enumerate(decisions.certainty):
            case = Case(
                certainty=float(certainty),
                shorter_side=manifest.abstention.min_side,
                contrast=seen.contrasts[position],
                unlikeness=float(unlikeness[position]),
            )
            reasons = why_abstain(manifest.abstention, case)
            codes.update(reason.code for reason in reasons)
            right[bool(reasons)].append(bool(hits[position]))
    images = len(right[True]) + len(right[False])
    figures = {"abstained": len(right[True]) / images}
    figures |= {f"abstained.{code}": count / images for code, count in sorted(codes.items())}
    parts = {"accuracy_answered": right[False], "accuracy_abstained": right[True]}
    return figures | {name: float(np.mean(part)) for name, part in parts.items() if part}


def _look(runtime: Runtime, batches: Iterable[Batch]) -> Iterator[Seen]:
    for batch in batches:
        outputs = runtime.run(batch.images.astype(np.float32))
        yield Seen(
            pooled=pool(outputs["features"]),
            logits=outputs["logits"],
            labels=batch.labels,
            contrasts=[contrast(image) for image in batch.images],
        )

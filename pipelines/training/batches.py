"""What a training is shown: each epoch's batches of inputs, soft labels and weights."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from pipelines.data.input.training_set import Stream, TrainingSet
from pipelines.errors import TrainingError
from pipelines.spec import CandidateSpec
from pipelines.training.augment import Strength, augment
from pipelines.training.balance import class_weights, times_shown
from pipelines.training.mixup import mixup

if TYPE_CHECKING:
    import keras
    import tensorflow as tf


def training_batches(
    stream: Stream, data: TrainingSet, candidate: CandidateSpec, *, strength: Strength, seed: int
) -> Callable[[int], "tf.data.Dataset"]:
    """Epoch (from 0) → shuffled batches, the same for the same seed and epoch.

    Args:
        stream: the training split, as pictures or as features.
        data: the training set it was made from.
        candidate: says how it is balanced and mixed.
        strength: of the augmentation, for pictures.
        seed: of order, augmentation and mixing.

    Returns:
        float32 batches: input (n, …), targets (n, classes) that sum to 1, weights (n,).

    Raises:
        TrainingError: balancing by source is asked for, and the training set names none.
    """
    labels, classes = data.split("train").labels(), len(data.classes)
    sources = _sources(data) if candidate.balance == "source_sampling" else None
    weights = (
        class_weights(labels, classes)
        if candidate.balance == "class_weights"
        else np.ones(classes, np.float32)
    )

    def epoch_data(epoch: int) -> "tf.data.Dataset":
        shown = None
        if candidate.balance in ("class_sampling", "source_sampling"):
            shown = times_shown(labels, sources, seed=seed, epoch=epoch)
        batches = stream.shuffled(candidate.batch_size, seed=seed, epoch=epoch, shown=shown)
        changed = augment(batches, strength, seed=(seed, epoch), orientation=candidate.orientation)
        return mixup(with_targets(changed, weights), candidate.mixup, seed=(seed, epoch))

    return epoch_data


def validation_batches(stream: Stream, data: TrainingSet, *, batch_size: int) -> "tf.data.Dataset":
    """Every image once, in order, each with the weight 1."""
    ones = np.ones(len(data.classes), np.float32)
    return with_targets(stream.in_order(batch_size), ones)


def with_targets(batches: "tf.data.Dataset", weights: NDArray[np.float32]) -> "tf.data.Dataset":
    """(input, label) batches → (input, one-hot targets, weight of the label's class)."""
    import tensorflow as tf

    of_class = tf.constant(weights)

    @tf.autograph.experimental.do_not_convert  # type: ignore[untyped-decorator]
    def convert(x: Any, y: Any) -> Any:
        return x, tf.one_hot(y, len(weights)), tf.gather(of_class, y)

    return batches.map(convert)


def taught(batches: "tf.data.Dataset", teacher: "keras.Model") -> "tf.data.Dataset":
    """The same batches with a model's answers to their inputs, (n, classes), as targets.

    It is asked what the pupil is shown, augmented and mixed (Beyer et al. 2022, arXiv 2106.05237).
    """
    return batches.map(lambda x, _, weight: (x, teacher(x, training=False), weight)).prefetch(2)


def _sources(data: TrainingSet) -> NDArray[np.int64]:
    """(n,) a number for each training image's source; 0 is none that is known.

    Raises:
        TrainingError: none is known.
    """
    sources: NDArray[np.int64] = data.split("train").column("source")
    if not sources.any():
        raise TrainingError(
            "No source of a training image is known, so training cannot be balanced by sources "
            "(balance: source_sampling). Use class_sampling."
        )
    return sources

"""What a training minimises, and by which steps."""

import keras

from pipelines.spec import CandidateSpec

FOCAL_GAMMA = 2.0
MOMENTUM = 0.9


def compile_for(model: keras.Model, candidate: CandidateSpec, *, learning_rate: float) -> None:
    """Compile a model from ``image`` or features to logits, for targets (n, classes) that sum
    to 1."""
    model.compile(optimizer_of(candidate, learning_rate), loss_of(candidate), metrics=["accuracy"])


def loss_of(candidate: CandidateSpec) -> keras.losses.Loss:
    """The candidate's loss, of logits and soft labels.

    The focal loss is that of Lin et al. 2017 (arXiv 1708.02002), eq. 4, summed over classes by
    their share in the label; balancing is left to the candidate's ``balance``.
    """
    if candidate.loss == "focal":
        gamma = FOCAL_GAMMA if candidate.focal_gamma is None else candidate.focal_gamma
        return keras.losses.CategoricalFocalCrossentropy(
            alpha=1.0, gamma=gamma, from_logits=True, label_smoothing=candidate.label_smoothing
        )
    return keras.losses.CategoricalCrossentropy(
        from_logits=True, label_smoothing=candidate.label_smoothing
    )


def optimizer_of(candidate: CandidateSpec, learning_rate: float) -> keras.optimizers.Optimizer:
    """The candidate's optimiser."""
    if candidate.optimizer == "sgd":
        momentum = MOMENTUM if candidate.momentum is None else candidate.momentum
        return keras.optimizers.SGD(learning_rate, momentum=momentum)
    known = {"adam": keras.optimizers.Adam, "rmsprop": keras.optimizers.RMSprop}
    return known[candidate.optimizer](learning_rate)

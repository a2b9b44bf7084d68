"""What becomes of a candidate whose pretrained weights cannot be had on this machine."""

import logging

from pipelines.errors import CandidateSkipped, WeightsUnavailable
from pipelines.models.imagenet import IMAGENET, has_imagenet, require_imagenet
from pipelines.spec import CandidateSpec

logger = logging.getLogger(__name__)


def trainable_here(chosen: CandidateSpec) -> CandidateSpec:
    """The candidate as it can be trained on this machine.

    Returns:
        It as it is where its weights can be had, or need no having; without them, by recipe
        ``scratch``, where they cannot and ``without_weights`` is ``scratch``.

    Raises:
        CandidateSkipped: they cannot, and ``without_weights`` is ``skip``.
        WeightsUnavailable: they cannot, and it is ``fail``.
    """
    if chosen.weights != IMAGENET or not has_imagenet(chosen.model):
        return chosen
    try:
        require_imagenet(chosen.model)
    except WeightsUnavailable as error:
        if chosen.without_weights == "fail":
            raise
        if chosen.without_weights == "skip":
            raise CandidateSkipped(f"{chosen.name} is left out. {error}") from error
        logger.warning("%s is trained from random weights. %s", chosen.name, error)
        return chosen.model_copy(update={"weights": None, "recipe": "scratch"})
    return chosen

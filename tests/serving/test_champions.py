"""Which predictor answers, and how a swap looks to a request in flight."""

import gc
import weakref
from dataclasses import replace
from pathlib import Path

import pytest

from pipelines.release.predictor import Predictor, open_predictor
from serving.champions import Champions
from serving.context import Problem
from tests.serving.bundles import make_bundle, png


def test_a_request_in_flight_keeps_the_predictor_it_began_with(
    champions: Champions, predictor: Predictor, tmp_path: Path, cache: Path
) -> None:
    champions.take(predictor)
    in_flight = champions.choose(None)
    before = in_flight.read(png()).probabilities
    newer = make_bundle(tmp_path / "2", version=2, seed=9)
    champions.take(open_predictor(newer, "openvino", cache=cache, threads=1))
    assert champions.choose(None).version == 2
    assert in_flight.version == 1
    assert (in_flight.read(png()).probabilities == before).all()


def test_the_old_model_is_let_go_once_its_last_request_has_ended(
    champions: Champions, bundle: Path, cache: Path
) -> None:
    champions.take(open_predictor(bundle, "openvino", cache=cache, threads=1))
    in_flight = champions.choose(None)
    old, model = weakref.ref(in_flight), weakref.ref(in_flight.runtime)
    champions.take(open_predictor(bundle, "openvino", cache=cache, threads=1))
    gc.collect()
    assert old() is in_flight
    del in_flight
    gc.collect()
    assert (old(), model()) == (None, None)


def test_a_refusal_is_reported_until_a_version_is_taken(
    champions: Champions, predictor: Predictor
) -> None:
    champions.take(predictor)
    champions.refuse("phantom", 2, reason="model.bin was altered")
    (refusal,) = champions.report().refused
    assert (refusal.dataset, refusal.model_version) == ("phantom", 2)
    assert "altered" in refusal.reason
    assert champions.choose(None).version == 1
    champions.take(replace(predictor))
    assert champions.report().refused == []


def test_an_unknown_data_set_is_named_with_those_there_are(
    champions: Champions, predictor: Predictor
) -> None:
    champions.take(predictor)
    with pytest.raises(Problem, match="'knees' has no champion; there are phantom"):
        champions.choose("knees")


def test_the_registry_s_standing_is_told(champions: Champions) -> None:
    assert champions.report().registry == "not asked yet"
    champions.standing_with("unreachable", detail="connection refused")
    assert champions.report().registry_detail == "connection refused"

"""The service shows the model card of what serves, from its own disk."""

from pathlib import Path

import pytest
from starlette.testclient import TestClient

from pipelines.release.card.beside import beside
from pipelines.release.predictor import open_predictor
from serving.champions import Champions
from tests.serving.bundles import make_bundle


@pytest.fixture
def other(champions: Champions, tmp_path: Path, cache: Path) -> Path:
    """The bundle of a second data set, which serves too."""
    folder = make_bundle(tmp_path / "other", dataset="brain_mri", seed=1, version=7)
    champions.take(open_predictor(folder, "openvino", cache=cache, threads=1))
    return folder


def test_the_card_is_a_page_that_brings_all_it_needs(serving_client: TestClient) -> None:
    reply = serving_client.get("/card")
    assert reply.status_code == 200
    assert reply.headers["content-type"] == "text/html; charset=utf-8"
    assert "Model card: phantom" in reply.text
    assert "default-src 'none'" in reply.headers["content-security-policy"]
    assert "script" not in reply.headers["content-security-policy"]


@pytest.mark.usefixtures("other")
def test_each_data_set_has_its_own_card_where_model_says(serving_client: TestClient) -> None:
    served = serving_client.get("/model").json()["models"]
    pages = [serving_client.get(model["card"]).text for model in served]
    assert ["brain_mri" in page for page in pages] == [True, False]
    assert serving_client.get("/card").json()["error"]["code"] == "dataset_needed"
    assert serving_client.get("/card?dataset=knee").json()["error"]["code"] == "unknown_dataset"


def test_a_card_that_is_drawn_anew_is_shown(serving_client: TestClient, other: Path) -> None:
    beside(other).write_text("the newer card", "utf-8")
    assert serving_client.get("/card?dataset=brain_mri").text == "the newer card"


def test_without_a_card_it_says_how_to_get_one(serving_client: TestClient, other: Path) -> None:
    beside(other).unlink()
    (model, _) = serving_client.get("/model").json()["models"]
    assert model["card"] is None
    reply = serving_client.get("/card?dataset=brain_mri")
    assert reply.status_code == 404
    error = reply.json()["error"]
    assert error["code"] == "no_card"
    assert "brain_mri, version 7" in error["message"]
    assert "medloop promote brain_mri" in error["message"]

"""Sample images: which are offered, and that they are answered."""

from dataclasses import replace

import pytest
from starlette.testclient import TestClient

from pipelines.release.predictor import Predictor
from pipelines.spec import SourceSpec
from serving.champions import Champions
from tests.serving.bundles import CLASSES


def test_one_image_of_each_class_is_offered_and_answered(
    serving_client: TestClient, predictor: Predictor
) -> None:
    offered = serving_client.get("/samples").json()["samples"]
    assert [sample["label"] for sample in offered] == list(CLASSES)
    assert {sample["credit"] for sample in offered} == {"Drawn here (CC0-1.0)"}
    assert all(sample["synthetic"] for sample in offered)
    for sample in offered:
        image = serving_client.get(sample["url"]).content
        file = predictor.bundle.folder / "canary" / sample["file"]
        assert image == file.read_bytes()
        answer = serving_client.post("/predict", files={"image": image})
        assert answer.status_code == 200


@pytest.mark.parametrize("licence", ["Internal, ward 7", "CC-BY-NC-4.0", None])
def test_images_are_shown_under_a_free_licence_only(
    licence: str | None, client: TestClient, champions: Champions, predictor: Predictor
) -> None:
    source = licence and SourceSpec(origin="A hospital", licence=licence, consent="Asked.")
    manifest = predictor.bundle.manifest.model_copy(update={"source": source})
    champions.take(replace(predictor, bundle=replace(predictor.bundle, manifest=manifest)))
    assert client.get("/samples").json() == {"samples": []}
    assert client.get("/samples/phantom/0").status_code == 404


@pytest.mark.parametrize(
    ("path", "status", "code"),
    [
        ("/samples/phantom/99", 404, "unknown_sample"),
        ("/samples/phantom/-1", 404, "unknown_sample"),
        ("/samples/phantom/..", 422, "bad_field"),
        ("/samples/knees/0", 404, "unknown_dataset"),
    ],
)
def test_what_is_no_sample_is_refused(
    path: str, status: int, code: str, serving_client: TestClient
) -> None:
    reply = serving_client.get(path.replace("..", "%2e%2e"))
    assert (reply.status_code, reply.json()["error"]["code"]) == (status, code)


def test_without_a_champion_there_is_none(client: TestClient) -> None:
    assert client.get("/samples").json() == {"samples": []}

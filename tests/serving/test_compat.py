"""The legacy API: exactly the fields that its clients read, and the same answers."""

import base64
import io
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image
from starlette.testclient import TestClient

from pipelines.release.bundle import read_manifest, write_manifest
from pipelines.release.predictor import Predictor, open_predictor
from pipelines.spec import AbstentionSpec
from serving.champions import Champions
from serving.image_request import Backend
from tests.serving.bundles import CLASSES, make_bundle, png


def classify(client: TestClient, image: bytes, field: str = "file") -> dict[str, Any]:
    reply = client.post("/api/classify", files={field: ("scan.png", image, "image/png")})
    assert reply.status_code == 200, reply.text
    body: dict[str, Any] = reply.json()
    return body


def test_classify_answers_with_exactly_the_legacy_fields(serving_client: TestClient) -> None:
    body = classify(serving_client, png(1))
    assert {name: type(value).__name__ for name, value in body.items()} == {
        "status": "str",
        "prediction": "dict",
        "probabilities": "dict",
        "visualization": "dict",
        "analysis": "dict",
        "processing_time": "float",
    }
    assert body["status"] == "success"
    assert set(body["prediction"]) == {"class", "confidence"}
    assert tuple(body["probabilities"]) == CLASSES
    assert set(body["visualization"]) == {"original_image", "heatmap_overlay"}
    assert set(body["analysis"]) == {"overview", "description", "recommendations"}
    assert 0 < body["processing_time"] < 30


def test_its_figures_are_percentages_of_the_same_prediction(serving_client: TestClient) -> None:
    legacy = classify(serving_client, png(1))
    modern = serving_client.post("/predict", files={"image": png(1)}).json()
    assert legacy["prediction"]["class"] == modern["class"]
    assert legacy["prediction"]["confidence"] == round(100 * modern["confidence"], 1)
    assert legacy["probabilities"] == {
        name: round(100 * share, 1) for name, share in modern["probabilities"].items()
    }


def test_its_pictures_are_pngs_of_one_size_the_original_untouched(
    serving_client: TestClient,
) -> None:
    pictures = classify(serving_client, png(1, width=90, height=30))["visualization"]
    original, overlay = _pixels(pictures["original_image"]), _pixels(pictures["heatmap_overlay"])
    sent = np.asarray(Image.open(io.BytesIO(png(1, width=90, height=30))).convert("RGB"))
    assert (original == sent).all()
    assert overlay.shape == original.shape
    assert (overlay != original).any()


def test_the_field_image_answers_as_file_does(serving_client: TestClient) -> None:
    bodies = [classify(serving_client, png(2), field) for field in ("file", "image")]
    assert bodies[0]["probabilities"] == bodies[1]["probabilities"]


def test_the_texts_come_from_the_bundle_and_end_with_the_disclaimer(
    serving_client: TestClient,
) -> None:
    body = classify(serving_client, png(1))
    decided, analysis = body["prediction"]["class"], body["analysis"]
    assert analysis["description"].startswith(f"About {decided}.")
    assert "model's attention" in analysis["description"]
    assert f"Have {decided} read." in analysis["recommendations"]
    assert analysis["recommendations"][-1] == "Not for diagnosis."
    assert "synthetic" in analysis["overview"]


def predictor_with(folder: Path, cache: Path, **rules: Any) -> Predictor:
    bundle = make_bundle(folder)
    write_manifest(bundle, read_manifest(bundle).model_copy(update=rules))
    return open_predictor(bundle, "openvino", cache=cache, threads=1)


def test_an_abstention_shows_in_the_texts(
    client: TestClient, champions: Champions, tmp_path: Path, cache: Path
) -> None:
    never_sure = AbstentionSpec(min_confidence=1.0)
    champions.take(predictor_with(tmp_path / "bundle", cache, abstention=never_sure))
    modern = client.post("/predict", files={"image": png(1)}).json()
    analysis = classify(client, png(1))["analysis"]
    assert modern["abstained"]
    assert analysis["overview"].startswith("No answer to rely on. ")
    for reason in modern["abstained_because"]:
        assert reason["message"] in analysis["overview"]
    assert "person see this case" in analysis["recommendations"][0]


@pytest.mark.parametrize("finding", [True, False])
def test_a_review_shows_in_the_texts_and_only_then(
    client: TestClient,
    champions: Champions,
    predictor: Predictor,
    tmp_path: Path,
    cache: Path,
    finding: bool,
) -> None:
    always_sure = AbstentionSpec(min_confidence=0, min_contrast=0, min_side=1)
    classes = predictor.bundle.manifest.classes
    champions.take(
        predictor_with(
            tmp_path / "bundle",
            cache,
            abstention=always_sure,
            classes=tuple(c.model_copy(update={"finding": finding}) for c in classes),
        )
    )
    modern = client.post("/predict", files={"image": png(1)}).json()
    analysis = classify(client, png(1))["analysis"]
    assert modern["review"]["needed"] is finding
    assert ("person see this case" in analysis["recommendations"][0]) is finding
    assert ("should see this case first" in analysis["overview"]) is finding


@pytest.mark.parametrize(
    ("request_", "status"),
    [
        ({"files": {"file": b"no image"}}, 415),
        ({"files": {"file": b""}}, 422),
        ({"files": {"photo": png()}}, 400),
        ({"files": {"file": b"\0" * 300_000}}, 413),
        ({"files": {"file": png()}, "data": {"dataset": "other"}}, 404),
        ({"files": {"file": png()}, "data": {"colour": "red"}}, 400),
        ({"json": {"file": "x"}}, 415),
        ({}, 415),
    ],
)
def test_every_refusal_has_the_legacy_shape(
    serving_client: TestClient, request_: dict[str, Any], status: int
) -> None:
    reply = serving_client.post("/api/classify", **request_)
    assert reply.status_code == status, reply.text
    _is_legacy_error(reply.json())


def test_so_have_wrong_methods_unknown_paths_and_a_service_without_a_model(
    client: TestClient,
) -> None:
    replies = [
        (405, client.get("/api/classify")),
        (404, client.get("/api/nothing")),
        (503, client.get("/api/classes")),
        (503, client.post("/api/classify", files={"file": png()})),
    ]
    for status, reply in replies:
        assert reply.status_code == status
        _is_legacy_error(reply.json())


def test_health_tells_whether_a_model_is_loaded(
    client: TestClient, champions: Champions, predictor: Predictor
) -> None:
    assert client.get("/api/health").json() == {"status": "healthy", "model_loaded": False}
    champions.take(predictor)
    assert client.get("/api/health").json() == {"status": "healthy", "model_loaded": True}


def test_where_several_data_sets_are_served_one_is_for_the_legacy_api(
    serving_client: TestClient, backend: Backend, tmp_path: Path, cache: Path
) -> None:
    client = serving_client
    other = make_bundle(tmp_path / "other", dataset="brain_mri", seed=3)
    backend.champions.take(open_predictor(other, "openvino", cache=cache, threads=1))
    client.app.state.backend = replace(backend, legacy_dataset="brain_mri")  # type: ignore[attr-defined]
    legacy = classify(client, png(1))
    named = client.post("/predict", files={"image": png(1)}, data={"dataset": "brain_mri"}).json()
    assert legacy["prediction"]["confidence"] == round(100 * named["confidence"], 1)
    chosen = client.post("/api/classify?dataset=phantom", files={"file": png(1)}).json()
    assert chosen["probabilities"] != legacy["probabilities"]
    assert client.get("/api/classes").json()["classes"] == list(CLASSES)


def test_classes_are_named_in_the_order_of_the_model(serving_client: TestClient) -> None:
    assert serving_client.get("/api/classes").json() == {
        "status": "success",
        "classes": list(CLASSES),
        "titles": {name: name.title() for name in CLASSES},
    }


def _pixels(uri: str) -> NDArray[np.uint8]:
    kind, content = uri.split(",")
    assert kind == "data:image/png;base64"
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(content))), np.uint8)


def _is_legacy_error(body: dict[str, Any]) -> None:
    assert set(body) == {"status", "message"}
    assert body["status"] == "error"
    assert len(body["message"]) > 10

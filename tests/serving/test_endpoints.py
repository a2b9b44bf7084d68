"""The HTTP contract: what each route answers, and what each bad request is told."""

import base64
import io
import json
import zlib
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
from PIL import Image
from starlette.testclient import TestClient

from pipelines.imaging import decode
from pipelines.release.predictor import Predictor, open_predictor
from pipelines.spec import ImageSpec
from serving.champions import Champions
from tests.serving.bundles import CLASSES, SIZE, jpeg, make_bundle, png


def test_predict_answers_with_the_whole_contract(serving_client: TestClient) -> None:
    reply = serving_client.post("/predict", files={"image": ("a.png", png(1))})
    body = reply.json()
    assert reply.status_code == 200
    assert body["dataset"] == "phantom"
    assert body["model_version"] == 1
    assert tuple(body["probabilities"]) == CLASSES
    assert sum(body["probabilities"].values()) == pytest.approx(1, abs=1e-5)
    assert body["class"] == max(body["probabilities"], key=body["probabilities"].get)
    assert body["confidence"] == body["probabilities"][body["class"]]
    assert body["certainty"] == body["confidence"]  # the likeliest class decides
    assert body["title"] == body["class"].title()
    assert body["synthetic"] is True
    assert body["disclaimer"] == "Not for diagnosis."
    assert body["request_id"] == reply.headers["x-request-id"]


def test_predict_agrees_with_the_model(serving_client: TestClient, predictor: Predictor) -> None:
    expected = predictor.read(png(5)).probabilities
    body = serving_client.post("/predict", files={"image": png(5)}).json()
    assert list(body["probabilities"].values()) == pytest.approx(expected.tolist(), abs=1e-6)


def test_a_raw_body_answers_as_a_form_does(serving_client: TestClient) -> None:
    form = serving_client.post("/predict", files={"image": jpeg(2)}, data={"dataset": "phantom"})
    raw = serving_client.post(
        "/predict?dataset=phantom", content=jpeg(2), headers={"Content-Type": "image/jpeg"}
    )
    assert raw.json()["probabilities"] == form.json()["probabilities"]


def test_two_requests_have_two_ids(serving_client: TestClient) -> None:
    replies = [serving_client.post("/predict", files={"image": png()}) for _ in range(2)]
    assert replies[0].json()["request_id"] != replies[1].json()["request_id"]


def test_gradcam_is_a_png_of_the_images_own_proportions(serving_client: TestClient) -> None:
    reply = serving_client.post("/gradcam", files={"image": png(1, width=90, height=30)})
    assert reply.headers["content-type"] == "image/png"
    assert _pixels(reply.content).shape == (30, 90, 3)
    assert reply.headers["x-medloop-dataset"] == "phantom"
    assert reply.headers["x-medloop-model-version"] == "1"
    assert reply.headers["x-medloop-class"] in CLASSES
    assert reply.headers["x-medloop-target"] == reply.headers["x-medloop-class"]


def test_gradcam_explains_the_class_it_is_asked_for(serving_client: TestClient) -> None:
    answers = {
        name: serving_client.post("/gradcam", files={"image": png(1)}, data={"target": name})
        for name in CLASSES
    }
    assert all(reply.headers["x-medloop-target"] == name for name, reply in answers.items())
    assert len({reply.content for reply in answers.values()}) > 1


def test_opacity_zero_is_the_picture_itself(serving_client: TestClient) -> None:
    reply = serving_client.post("/gradcam", files={"image": png(1)}, data={"opacity": "0"})
    assert np.array_equal(_pixels(reply.content), _pixels(png(1)))


def test_explain_says_where_the_attention_lies(
    serving_client: TestClient, predictor: Predictor
) -> None:
    body = serving_client.post("/explain", files={"image": png(3)}).json()
    reading = predictor.read(png(3))
    expected = predictor.attention(reading, reading.best)
    assert expected
    assert body["attention"]["text"] == expected.text
    assert [place["where"] for place in body["attention"]["places"]] == [
        place.where for place in expected.places
    ]
    assert body["attention"]["inside_body"] == pytest.approx(expected.inside_body)
    assert set(body["attention"]) == {
        *("text", "places", "inside_body", "half_within", "is_caution_needed")
    }


def test_explain_gives_the_texts_of_the_class_with_their_sources(
    serving_client: TestClient,
) -> None:
    body = serving_client.post("/explain", files={"image": png(3)}, data={"target": "spot"}).json()
    assert body["about"] == "About spot."
    assert body["recommendations"] == ["Have spot read."]
    assert body["sources"] == [{"title": "On spot", "url": "https://example.org/spot"}]
    assert body["prediction"]["disclaimer"] == "Not for diagnosis."


def test_explain_holds_prediction_overlay_and_text_together(serving_client: TestClient) -> None:
    body = serving_client.post(
        "/explain", files={"image": png(1)}, data={"target": "haze", "opacity": "0.7"}
    ).json()
    assert body["target"] == "haze"
    assert body["about"] == "About haze."
    kind, data = body["overlay"].split(",")
    assert kind == "data:image/png;base64"
    alone = serving_client.post(
        "/gradcam", files={"image": png(1)}, data={"target": "haze", "opacity": "0.7"}
    )
    assert base64.b64decode(data) == alone.content
    assert body["prediction"]["disclaimer"] == "Not for diagnosis."


def test_explain_gives_the_decoded_image_along_if_asked_to(serving_client: TestClient) -> None:
    asked: dict[str, Any] = {"files": {"image": png(1)}}
    without = serving_client.post("/explain", **asked).json()
    assert without["original"] is None
    body = serving_client.post("/explain", **asked, data={"original": "true"}).json()
    picture = base64.b64decode(body["original"].partition(",")[2])
    assert (decode(picture) == decode(png(1))).all()
    assert body["overlay"] == without["overlay"]
    refused = serving_client.post("/explain", **asked, data={"original": "perhaps"})
    _assert_refused(refused, 422, "bad_field")


def test_a_batch_answers_in_order_and_names_what_it_refuses(serving_client: TestClient) -> None:
    images = [("image", png(1)), ("image", b"no picture"), ("image", png(2))]
    results = serving_client.post("/predict/batch", files=images).json()["results"]
    alone = serving_client.post("/predict", files={"image": png(2)}).json()
    assert results[0]["error"] is None
    assert results[1]["prediction"] is None
    assert results[1]["error"]["code"] == "unknown_format"
    assert results[2]["prediction"]["probabilities"] == alone["probabilities"]


def test_classes_and_model_name_what_serves(serving_client: TestClient) -> None:
    (served,) = serving_client.get("/classes").json()["datasets"]
    assert [c["name"] for c in served["classes"]] == list(CLASSES)
    assert served["classes"][0]["finding"] is False
    reply = serving_client.get("/model").json()
    (model,) = reply["models"]
    assert (model["dataset"], model["model_version"], model["run_id"]) == ("phantom", 1, "run")
    assert model["metrics"] == {"accuracy": 0.9}
    assert model["runtime"] == "openvino"
    assert model["snapshot"] == "phantom/snapshots/0001-aa"
    assert model["images"] == {"train": 1200, "validation": 150, "test": 300}
    assert model["source"] == {"origin": "Drawn here", "licence": "CC0-1.0", "url": None}
    assert (model["temperature"], model["created_at"]) == (1, "2026-01-01T00:00:00+00:00")
    assert model["card"] == "/card?dataset=phantom"
    assert reply["refused"] == []


def test_no_champion_is_503_with_the_reason(client: TestClient) -> None:
    for path in ("/predict", "/predict/batch", "/gradcam", "/explain"):
        reply = client.post(path, files={"image": png()})
        assert reply.status_code == 503
        assert reply.json()["error"]["code"] == "no_champion"
        assert "Run medloop retrain DATASET first" in reply.json()["error"]["message"]
        assert "retry-after" in reply.headers
    assert client.get("/card").json()["error"]["code"] == "no_champion"
    assert client.get("/classes").json() == {"datasets": []}
    assert client.get("/").status_code == 200


def test_with_two_data_sets_one_must_be_named(
    serving_client: TestClient, champions: Champions, tmp_path: Path, cache: Path
) -> None:
    other = make_bundle(tmp_path / "other", dataset="brain_mri", seed=1, version=7)
    champions.take(open_predictor(other, "openvino", cache=cache, threads=1))
    reply = serving_client.post("/predict", files={"image": png()})
    assert reply.status_code == 400
    assert reply.json()["error"]["code"] == "dataset_needed"
    assert "brain_mri, phantom" in reply.json()["error"]["message"]
    named = serving_client.post("/predict", files={"image": png()}, data={"dataset": "brain_mri"})
    assert (named.json()["dataset"], named.json()["model_version"]) == ("brain_mri", 7)


def test_padded_and_cropped_images_answer_too(
    client: TestClient, champions: Champions, tmp_path: Path, cache: Path
) -> None:
    spec = ImageSpec(size=SIZE, resize="pad", crop="body")
    folder = make_bundle(tmp_path / "padded", image=spec)
    champions.take(open_predictor(folder, "openvino", cache=cache, threads=1))
    reply = client.post("/gradcam", files={"image": png(1, width=50, height=99)})
    assert _pixels(reply.content).shape == (99, 50, 3)


def _huge_png() -> bytes:
    """A PNG whose header declares 100,000 x 100,000 pixels."""
    data = bytearray(png())
    data[16:24] = (100_000).to_bytes(4, "big") * 2
    data[29:33] = zlib.crc32(data[12:29]).to_bytes(4, "big")
    return bytes(data)


FORM = {"Content-Type": "multipart/form-data; boundary=x"}
BAD = {
    "empty file": ({"files": {"image": b""}}, 422, "empty"),
    "no body": ({}, 415, "unsupported_type"),
    "empty raw body": ({"content": b"", "headers": {"Content-Type": "image/png"}}, 400, "no_image"),
    "text": ({"files": {"image": b"hello, I am a text"}}, 415, "unknown_format"),
    "html called png": ({"files": {"image": ("a.png", b"<html>")}}, 415, "unknown_format"),
    "truncated jpeg": ({"files": {"image": jpeg()[:600]}}, 422, "truncated"),
    "truncated png": ({"files": {"image": png()[:600]}}, 422, None),
    "declares 10 gigapixels": ({"files": {"image": _huge_png()}}, 413, "too_large"),
    "too many pixels": ({"files": {"image": jpeg(width=2400, height=2000)}}, 413, "too_large"),
    "too small": ({"files": {"image": png(width=4, height=4)}}, 422, "too_small"),
    "image sent as text": (
        {"data": {"image": "http://127.0.0.1:1/a.png"}},
        415,
        "unsupported_type",
    ),
    "address in the file field": (
        {"files": {"image": (None, "http://127.0.0.1:1/a.png")}},
        415,
        "not_a_file",
    ),
    "file in another field": ({"files": {"photo": png()}}, 400, "unknown_field"),
    "no image field": ({"files": {"dataset": (None, "phantom")}}, 400, "no_image"),
    "unknown dataset": (
        {"files": {"image": png()}, "data": {"dataset": "knees"}},
        404,
        "unknown_dataset",
    ),
    "unknown field": (
        {"files": {"image": png()}, "data": {"datset": "phantom"}},
        400,
        "unknown_field",
    ),
    "long field": (
        {"files": {"image": png()}, "data": {"dataset": "p" * 2000}},
        413,
        "field_too_large",
    ),
    "two images": ({"files": [("image", png()), ("image", png())]}, 400, "one_image_only"),
    "many parts": ({"files": [("image", png())] * 40}, 413, "too_many_parts"),
    "too many images": ({"files": [("image", png())] * 4}, 413, "too_many_images"),
    "no boundary": (
        {"content": b"x", "headers": {"Content-Type": "multipart/form-data"}},
        400,
        "bad_multipart",
    ),
    "wrong boundary": ({"content": b"--y\r\n", "headers": FORM}, 400, "bad_multipart"),
    "form cut off": (
        {"content": b'--x\r\nContent-Disposition: form-data; name="image"', "headers": FORM},
        400,
        "bad_multipart",
    ),
    "empty form": ({"content": b"", "headers": FORM}, 400, "bad_multipart"),
    "json": ({"json": {"image": "abc"}}, 415, "unsupported_type"),
    "body too large": (
        {"content": b"\xff" * 200_001, "headers": {"Content-Type": "image/png"}},
        413,
        "body_too_large",
    ),
    "chunked body too large": (
        {
            "content": (b"\xff" * 1000 for _ in range(201)),
            "headers": {"Content-Type": "image/png"},
        },
        413,
        "body_too_large",
    ),
}


@pytest.mark.parametrize("case", BAD)
def test_a_bad_body_is_told_why(case: str, serving_client: TestClient) -> None:
    request, status, code = BAD[case]
    reply = serving_client.post("/predict", **request)  # type: ignore[arg-type]
    _assert_refused(reply, status, code)
    good = serving_client.post("/predict", files={"image": png()})
    assert good.status_code == 200


@pytest.mark.parametrize(
    ("fields", "status", "code"),
    [
        ({"target": "gorilla"}, 422, "unknown_class"),
        ({"opacity": "7"}, 422, "bad_field"),
        ({"opacity": "-0.1"}, 422, "bad_field"),
        ({"opacity": "nan"}, 422, "bad_field"),
        ({"opacity": "much"}, 422, "bad_field"),
        ({"colour": "red"}, 400, "unknown_field"),
    ],
)
@pytest.mark.parametrize("path", ["/gradcam", "/explain"])
def test_a_bad_field_is_told_why(
    path: str, fields: dict[str, str], status: int, code: str, serving_client: TestClient
) -> None:
    reply = serving_client.post(path, files={"image": png()}, data=fields)
    _assert_refused(reply, status, code)
    assert next(iter(fields)) in reply.json()["error"]["message"]


@pytest.mark.parametrize(
    ("method", "path", "status", "code"),
    [
        ("GET", "/predict", 405, "method_not_allowed"),
        ("POST", "/classes", 405, "method_not_allowed"),
        ("GET", "/nothing", 404, "not_found"),
        ("GET", "/web/../app.py", 404, "not_found"),
        ("GET", "/web/%2e%2e/app.py", 404, "not_found"),
    ],
)
def test_a_wrong_route_is_told_why(
    method: str, path: str, status: int, code: str, serving_client: TestClient
) -> None:
    reply = serving_client.request(method, path)
    _assert_refused(reply, status, code)


def test_every_prefix_of_an_image_is_refused_or_answered(serving_client: TestClient) -> None:
    for data in (png(width=24, height=16), jpeg(width=24, height=16)):
        for length in range(0, len(data), 29):
            reply = serving_client.post("/predict", files={"image": data[:length]})
            assert reply.status_code in (200, 413, 415, 422), reply.text


def _assert_refused(reply: httpx.Response, status: int, code: str | None) -> None:
    body: dict[str, Any] = json.loads(reply.content)
    assert reply.status_code == status, body
    assert set(body) == {"error", "request_id"}
    assert set(body["error"]) == {"code", "message"}
    assert code in (None, body["error"]["code"])
    assert body["request_id"] == reply.headers["x-request-id"]


def _pixels(data: bytes) -> np.ndarray[Any, Any]:
    return np.asarray(Image.open(io.BytesIO(data)))

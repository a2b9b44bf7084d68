"""Several images in one request: each is answered by itself, in their order."""

import base64
import io

import httpx
import numpy as np
import pytest
from PIL import Image
from starlette.testclient import TestClient

from pipelines.release.predictor import Predictor, Reading
from tests.serving.bundles import CLASSES, png

MIXED = [
    ("image", ("a.png", png(0))),
    ("image", ("b.txt", b"no picture")),
    ("image", ("c.png", png(2, width=90, height=30))),
]


def _overlays(client: TestClient, **fields: str) -> httpx.Response:
    reply: httpx.Response = client.post("/gradcam/batch", files=MIXED, data=fields)
    return reply


def test_overlays_come_in_order_and_one_that_is_refused_spoils_nothing(
    serving_client: TestClient,
) -> None:
    reply = _overlays(serving_client)
    first, refused, last = reply.json()["results"]
    assert reply.status_code == 200
    assert refused["overlay"] is refused["prediction"] is refused["target"] is None
    assert refused["error"]["code"] == "unknown_format"
    assert _picture(first).size == (60, 40)
    assert _picture(last).size == (90, 30)
    for item in (first, last):
        assert item["error"] is None
        assert item["target"] == item["prediction"]["class"]
        assert item["prediction"]["request_id"] == reply.json()["request_id"]


def test_an_overlay_of_a_batch_is_the_one_the_image_gets_alone(serving_client: TestClient) -> None:
    for target in CLASSES:
        fields = {"target": target, "opacity": "0.7"}
        item = _overlays(serving_client, **fields).json()["results"][2]
        alone = serving_client.post("/gradcam", files=[MIXED[2]], data=fields)
        assert item["target"] == target
        assert np.array_equal(np.asarray(_picture(item)), np.asarray(_open(alone.content)))


@pytest.mark.parametrize("path", ["/predict/batch", "/gradcam/batch"])
def test_a_batch_of_nothing_but_broken_images_is_answered(
    serving_client: TestClient, path: str
) -> None:
    files = [("image", ("a", b"no")), ("image", ("b", png()[:80]))]
    reply = serving_client.post(path, files=files)
    assert reply.status_code == 200
    assert all(item["error"]["message"] for item in reply.json()["results"])


def test_an_unknown_class_is_refused_for_the_whole_batch(serving_client: TestClient) -> None:
    reply = _overlays(serving_client, target="nothing")
    assert reply.status_code == 422
    assert reply.json()["error"]["code"] == "unknown_class"


def test_more_images_than_a_batch_may_hold_are_refused(serving_client: TestClient) -> None:
    reply = serving_client.post("/gradcam/batch", files=[("image", ("a", png()))] * 4)
    assert reply.status_code == 413
    assert reply.json()["error"]["code"] == "too_many_images"


def _picture(item: dict[str, str]) -> Image.Image:
    head, _, content = item["overlay"].partition(",")
    assert head == "data:image/png;base64"
    return _open(base64.b64decode(content))


def _open(content: bytes) -> Image.Image:
    return Image.open(io.BytesIO(content))


def test_an_image_that_nobody_foresaw_is_refused_and_the_others_are_answered(
    serving_client: TestClient, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    read = Predictor.read

    def read_but_one(predictor: Predictor, data: bytes) -> Reading:
        if data == MIXED[2][1][1]:
            raise TypeError
        return read(predictor, data)

    monkeypatch.setattr(Predictor, "read", read_but_one)
    for path in ("/predict/batch", "/gradcam/batch"):
        reply = serving_client.post(path, files=MIXED)
        codes = [item["error"] and item["error"]["code"] for item in reply.json()["results"]]
        assert (reply.status_code, codes) == (200, [None, "unknown_format", "unexpected_error"])
    assert "in read_but_one" in caplog.text

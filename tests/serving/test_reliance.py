"""Every answer says whether it can be relied on, and whether a person should see the case."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from starlette.testclient import TestClient

from pipelines.release.bundle import read_manifest, write_manifest
from pipelines.release.predictor import open_predictor
from pipelines.spec import AbstentionSpec, ReviewSpec
from serving.champions import Champions
from tests.serving.bundles import encoded, make_bundle, png

Serve = Callable[..., TestClient]
RELYING = AbstentionSpec(min_confidence=0, min_contrast=0, min_side=1)


@pytest.fixture
def serve(client: TestClient, champions: Champions, tmp_path: Path, cache: Path) -> Serve:
    """Serve a bundle whose manifest says these things; it relies on all but what is unlike."""

    def start(*, findings: bool = True, **fields: Any) -> TestClient:
        folder = make_bundle(tmp_path / "bundle")
        manifest = read_manifest(folder)
        classes = tuple(c.model_copy(update={"finding": findings}) for c in manifest.classes)
        said = {"abstention": RELYING, "classes": classes} | fields
        write_manifest(folder, manifest.model_copy(update=said))
        champions.take(open_predictor(folder, "openvino", cache=cache, threads=1))
        return client

    return start


def ask(client: TestClient, image: bytes) -> dict[str, Any]:
    body: dict[str, Any] = client.post("/predict", files={"image": image}).json()
    return body


def stripes() -> bytes:
    """Unlike all the model learnt from."""
    pixels = np.zeros((40, 60, 3), np.uint8)
    pixels[::2, :, 0] = 255
    return encoded(pixels, "PNG")


def test_a_clear_answer_without_a_finding_needs_nobody(serve: Serve) -> None:
    body = ask(serve(findings=False), png(5))

    assert body["abstained"] is False
    assert body["abstained_because"] == []
    assert body["review"] == {"needed": False, "reasons": []}


def test_a_finding_needs_a_person_but_is_no_abstention(serve: Serve) -> None:
    body = ask(serve(), png(5))

    assert body["finding"] is True
    assert body["abstained"] is False
    assert [reason["code"] for reason in body["review"]["reasons"]] == ["finding"]
    assert body["title"] in body["review"]["reasons"][0]["message"]


def test_an_unlike_image_is_said_to_be_so_and_still_answered(serve: Serve) -> None:
    body = ask(serve(findings=False), stripes())

    assert body["abstained"] is True
    assert [reason["code"] for reason in body["abstained_because"]] == ["unlike_training_data"]
    assert body["review"] == {"needed": True, "reasons": body["abstained_because"]}
    assert body["class"] in body["probabilities"]


@pytest.mark.parametrize(("least", "codes"), [(0.0, ["possible_finding"]), (1.0, [])])
def test_a_finding_that_is_not_excluded_needs_a_person(
    serve: Serve, least: float, codes: list[str]
) -> None:
    body = ask(serve(findings=False, review=ReviewSpec(possible_finding=least)), png(5))

    assert [reason["code"] for reason in body["review"]["reasons"]] == codes


def test_overlays_and_batches_say_it_too(serve: Serve) -> None:
    client = serve()
    images = [("image", ("a.png", png(5))), ("image", ("b.png", stripes()))]

    overlay = client.post("/gradcam", files={"image": stripes()}).headers
    batch = client.post("/predict/batch", files=images).json()["results"]
    explained = client.post("/explain", files={"image": stripes()}).json()["prediction"]

    assert (overlay["x-medloop-abstained"], overlay["x-medloop-review"]) == ("true", "true")
    assert [item["prediction"]["abstained"] for item in batch] == [False, True]
    assert explained["abstained"] is True


def test_an_answer_under_the_least_confidence_is_not_to_be_relied_on(serve: Serve) -> None:
    surest = RELYING.model_copy(update={"min_confidence": 1.0})

    body = ask(serve(abstention=surest), png(5))

    assert [reason["code"] for reason in body["abstained_because"]] == ["low_confidence"]
    assert f"{body['confidence']:.0%}" in body["abstained_because"][0]["message"]

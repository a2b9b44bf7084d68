"""The page, its headers, and what happens on a mistake of ours."""

import re
from dataclasses import replace

import pytest
from starlette.testclient import TestClient

from pipelines.release.predictor import Predictor
from pipelines.release.runtime import Outputs
from serving.app import WEB
from serving.champions import Champions
from tests.serving.bundles import png


def test_the_page_and_all_it_names_come_from_here(client: TestClient) -> None:
    page = client.get("/")
    assert "default-src 'self'" in page.headers["content-security-policy"]
    named = re.findall(r'(?:src|href)="(/[^"]+)"', page.text)
    assert {"/web/page.js", "/web/style.css"} <= set(named)
    for path in named:
        assert client.get(path).status_code == 200, path


@pytest.mark.parametrize("file", sorted(WEB.iterdir()), ids=lambda path: path.name)
def test_nothing_of_the_page_is_fetched_from_elsewhere(file: object) -> None:
    text = (WEB / str(file)).read_text("utf-8")
    addresses = re.findall(r"https?://[^\s\"')]+", text)
    assert set(addresses) <= {"http://www.w3.org/2000/svg"}


def test_a_mistake_of_ours_is_told_by_its_request_id_only(
    client: TestClient,
    champions: Champions,
    predictor: Predictor,
    caplog: pytest.LogCaptureFixture,
) -> None:
    class Broken:
        def run(self, images: object) -> Outputs:
            raise RuntimeError(f"a secret of the machine: {images}")

    champions.take(replace(predictor, runtime=Broken()))
    reply = client.post("/predict", files={"image": png()})
    body = reply.json()
    assert reply.status_code == 500
    assert body["error"]["code"] == "internal"
    assert "secret" not in reply.text
    assert body["request_id"] in caplog.text
    assert "a secret of the machine" in caplog.text


def test_scanned_paths_share_one_label(serving_client: TestClient) -> None:
    from prometheus_client import REGISTRY

    for i in range(5):
        serving_client.get(f"/wp-admin/{i}")
    routes = {
        sample.labels["route"]
        for metric in REGISTRY.collect()
        for sample in metric.samples
        if sample.name == "medloop_requests_total"
    }
    assert "other" in routes
    assert not [route for route in routes if "wp-admin" in route]

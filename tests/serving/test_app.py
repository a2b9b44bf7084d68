"""The page, its headers, and what happens on a mistake of ours."""

import ast
import re
from dataclasses import replace

import pytest
from fastapi import APIRouter, FastAPI
from starlette.testclient import TestClient

from pipelines.release.predictor import Predictor
from pipelines.release.runtime import Outputs
from pipelines.settings import PROJECT
from serving.access.permissions import PREDICT, GuardedRoute
from serving.app import WEB, require_permissions
from serving.champions import Champions
from tests.serving.bundles import png
from tests.serving.permitted import ROLES

ROUTES = {"app", "compat", "image_request", "information", "landing", "predictions", "service"}
"""Modules with what answers requests."""


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


def test_every_route_has_the_permission_that_is_written_down(client: TestClient) -> None:
    routes: list[GuardedRoute] = client.app.routes  # type: ignore[attr-defined]
    assert {route.path: route.permission.role for route in routes} == ROLES


async def _anything() -> None: ...


def test_a_route_without_a_permission_or_with_two_cannot_be_made() -> None:
    router = APIRouter(route_class=GuardedRoute)
    with pytest.raises(TypeError, match=r"/bare has 0 permissions"):
        router.add_api_route("/bare", _anything)
    with pytest.raises(TypeError, match=r"/both has 2 permissions"):
        router.add_api_route("/both", _anything, dependencies=[PREDICT, PREDICT])


def test_the_app_is_not_built_with_another_kind_of_route() -> None:
    app = FastAPI(openapi_url=None)
    require_permissions(app)
    app.add_api_route("/plain", _anything, dependencies=[PREDICT])
    with pytest.raises(TypeError, match=r"/plain.* has no permission"):
        require_permissions(app)


def test_a_get_route_answers_head_too(client: TestClient) -> None:
    for path in ("/", "/web/page.js", "/model"):
        assert client.head(path).status_code == 200


@pytest.mark.parametrize("layer", ["context", "middleware", "refusals", "access", "records"])
def test_what_surrounds_the_routes_imports_none_of_them(layer: str) -> None:
    folder = PROJECT / "serving" / layer
    files = list(folder.glob("*.py")) or [folder.with_suffix(".py")]
    for file in files:
        for node in ast.walk(ast.parse(file.read_text("utf-8"))):
            if isinstance(node, ast.ImportFrom) and node.module:
                package, _, module = node.module.partition(".")
                names = {module} if module else {alias.name for alias in node.names}
                assert package != "serving" or not names & ROUTES, (file.name, node.module)

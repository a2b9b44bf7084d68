"""The OpenAPI document says what the routes do."""

from typing import Any

import pytest
from starlette.testclient import TestClient

from tests.serving.bundles import png
from tests.serving.permitted import ROLES

HEALTH = {"/livez", "/readyz", "/metrics"}
UNDESCRIBED = {
    *("/", "/web/{name:path}", "/docs", "/docs.json", "/static_content/{name:path}"),
    *("/healthz", "/schema.json", "/jobs/{job}/answer"),
}
OF_QUEUE = {"/jobs", "/jobs/{job}", "/jobs/{job}/result"}
"""Answer where there is a queue: see test_jobs.py."""


@pytest.mark.usefixtures("installation")
def test_every_described_route_answers_as_described(serving_client: TestClient) -> None:
    document = serving_client.get("/docs.json").json()
    described = set(document["paths"])
    assert described == {path for path in ROLES if path not in UNDESCRIBED}
    for path in described - HEALTH - OF_QUEUE:
        ((method, operation),) = document["paths"][path].items()
        files = {"image": png()} if method == "post" else None
        asked = path.replace("{dataset}", "phantom").replace("{number}", "0")
        reply = serving_client.request(method, asked, files=files)
        (media_type,) = operation["responses"]["200"]["content"]
        assert reply.status_code == 200, path
        assert reply.headers["content-type"] == media_type


@pytest.mark.usefixtures("installation")
@pytest.mark.parametrize(
    "path",
    [
        *("/predict", "/predict/batch", "/gradcam/batch", "/explain", "/classes", "/model"),
        *("/landing", "/landing/{dataset}", "/samples"),
    ],
)
def test_a_reply_has_the_described_fields(path: str, serving_client: TestClient) -> None:
    document = serving_client.get("/docs.json").json()
    ((method, operation),) = document["paths"][path].items()
    files = {"image": png()} if method == "post" else None
    asked = path.replace("{dataset}", "phantom")
    reply = serving_client.request(method, asked, files=files).json()
    schema = operation["responses"]["200"]["content"]["application/json"]["schema"]
    _assert_fields(reply, schema, document["components"]["schemas"])


def test_a_route_is_described_by_what_it_does(serving_client: TestClient) -> None:
    paths = serving_client.get("/docs.json").json()["paths"]
    assert paths["/predict"]["post"]["summary"] == "Classify one image."
    assert paths["/livez"]["get"]["summary"] == "Whether the process lives."
    several = "Classify several images; one that is refused does not spoil the others."
    assert paths["/predict/batch"]["post"]["summary"] == several


def test_every_field_of_a_question_is_described(serving_client: TestClient) -> None:
    operation = serving_client.get("/docs.json").json()["paths"]["/gradcam"]["post"]
    assert {p["name"] for p in operation["parameters"]} == {"dataset", "target", "opacity"}
    form = operation["requestBody"]["content"]["multipart/form-data"]["schema"]
    assert set(form["properties"]) == {"image", "dataset", "target", "opacity"}
    assert form["properties"]["opacity"]["maximum"] == 1


def _assert_fields(value: Any, schema: dict[str, Any], schemas: dict[str, Any]) -> None:
    """Every object has exactly the fields its schema lists, all the way down."""
    if "$ref" in schema:
        schema = schemas[schema["$ref"].rpartition("/")[2]]
    for option in schema.get("anyOf", []):
        if option.get("type") != "null" and value is not None:
            _assert_fields(value, option, schemas)
    if "properties" in schema:
        assert set(value) == set(schema["properties"])
        for name, field in schema["properties"].items():
            _assert_fields(value[name], field, schemas)
    if schema.get("type") == "array":
        for item in value:
            _assert_fields(item, schema["items"], schemas)

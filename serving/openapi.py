"""The table of routes, and the OpenAPI document made from it."""

import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Literal

from pydantic.json_schema import models_json_schema
from starlette.requests import Request
from starlette.responses import Response

from pipelines.access.tokens import Role
from serving import batch_endpoints, endpoints, landing, schemas
from serving.card import card
from serving.classic import api as classic
from serving.classic import schemas as classic_schemas
from serving.schemas import Wire

API_VERSION = "1"
REF = "#/components/schemas/{model}"


@dataclass(frozen=True)
class Endpoint:
    """One route: what is asked, what answers."""

    method: Literal["GET", "POST"]
    path: str
    handler: Callable[[Request], Awaitable[Response]]
    reply: type[Wire] | Literal["image/png", "text/html; charset=utf-8"]
    fields: type[Wire] | None = None
    images: Literal["none", "one", "several"] = "none"
    image_field: str = "image"
    refusal: type[Wire] = schemas.ErrorReply
    role: Role | None = Role.PREDICT
    """The least role that may ask it, where tokens are asked for; ``None`` if anybody may."""

    @property
    def summary(self) -> str:
        return (self.handler.__doc__ or "").strip()


ENDPOINTS = (
    Endpoint(
        "POST", "/predict", endpoints.predict, schemas.Prediction, schemas.PredictFields, "one"
    ),
    Endpoint(
        "POST",
        "/predict/batch",
        batch_endpoints.predict_batch,
        schemas.BatchReply,
        schemas.PredictFields,
        "several",
    ),
    Endpoint("POST", "/gradcam", endpoints.gradcam, "image/png", schemas.OverlayFields, "one"),
    Endpoint(
        "POST",
        "/gradcam/batch",
        batch_endpoints.gradcam_batch,
        schemas.OverlayBatchReply,
        schemas.OverlayFields,
        "several",
    ),
    Endpoint(
        "POST", "/explain", endpoints.explain, schemas.Explanation, schemas.ExplainFields, "one"
    ),
    Endpoint("GET", "/classes", endpoints.classes, schemas.ClassesReply),
    Endpoint("GET", "/model", endpoints.model, schemas.ModelReply),
    Endpoint("GET", "/card", card, "text/html; charset=utf-8", schemas.CardFields),
    Endpoint("GET", "/landing", landing.landing_folders, schemas.LandingReply, role=Role.UPLOAD),
    Endpoint(
        "POST",
        "/landing/{dataset}",
        landing.land,
        schemas.UploadReply,
        schemas.LandingFields,
        "several",
        role=Role.UPLOAD,
    ),
    Endpoint("GET", "/api/health", classic.health, classic_schemas.ClassicHealth, role=None),
    Endpoint(
        "GET",
        "/api/classes",
        classic.classes,
        classic_schemas.ClassicClasses,
        refusal=classic_schemas.ClassicError,
    ),
    Endpoint(
        "POST",
        "/api/classify",
        classic.classify,
        classic_schemas.ClassicReply,
        schemas.PredictFields,
        "one",
        image_field="file",
        refusal=classic_schemas.ClassicError,
    ),
)

TOKEN = {"token": {"type": "http", "scheme": "bearer", "description": "Of medloop token new"}}
GATE = {
    "401": "No API token came, or one that opens nothing (any more)",
    "403": "The token's role may not ask this, or a web page from elsewhere asks",
    "429": "The token asks too often; Retry-After says when to go on",
}
"""Where tokens are asked for, every route may answer so."""
REFUSALS = {
    "400": "The request is not put together as it should be",
    "404": "No such data set",
    "408": "The body took too long to arrive",
    "413": "Too much: bytes, pixels or images",
    "415": "Not an image, or not sent as one",
    "422": "The image cannot be read, or a field's value cannot be used",
    "503": "No champion serves yet",
}
LANDING_REFUSALS = {
    **REFUSALS,
    "422": "The data set has no such label, or takes its labels from a table",
    "503": "The landing folder cannot be used now, or too much waits",
    "507": "The landing folder's disk is full",
}
CARD_REFUSALS = {
    "400": "The request is not put together as it should be",
    "404": "No such data set, or its version has no card here",
    "503": "No champion serves yet",
}
HEALTH = {
    "/livez": "Whether the process lives.",
    "/readyz": "Whether it takes requests (with or without a champion).",
    "/metrics": "Figures for Prometheus.",
}


@lru_cache
def document() -> dict[str, Any]:
    """The OpenAPI 3.1 document of the service."""
    models: set[type[Wire]] = set()
    for endpoint in ENDPOINTS:
        used = (endpoint.reply, endpoint.fields, endpoint.refusal)
        models |= {model for model in used if isinstance(model, type)}
    ordered = sorted(models, key=lambda model: model.__name__)
    _, definitions = models_json_schema(
        [(model, "serialization") for model in ordered], ref_template=REF
    )
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Medloop",
            "version": API_VERSION,
            "description": "Medical-image classification with Grad-CAM explanations. "
            "For research and education; not a medical device.",
        },
        "paths": {e.path: {e.method.lower(): _operation(e)} for e in ENDPOINTS}
        | {path: {"get": _health(text)} for path, text in HEALTH.items()},
        "components": {"schemas": definitions["$defs"], "securitySchemes": TOKEN},
        # beyond loopback a token is needed, on it none is
        "security": [{"token": []}, {}],
    }


def _operation(endpoint: Endpoint) -> dict[str, Any]:
    operation: dict[str, Any] = {
        "operationId": re.sub(r"\W+", "_", endpoint.path).strip("_"),
        "summary": endpoint.summary,
        "responses": {"200": {"description": "The answer", "content": _reply(endpoint)}},
    }
    error = {"application/json": {"schema": _ref(endpoint.refusal)}}
    if endpoint.role is None:
        operation["security"] = []
    refusals = GATE if endpoint.role else {}
    if endpoint.fields:
        refusals = refusals | _refusals(endpoint)
    operation["responses"] |= {
        status: {"description": text, "content": error} for status, text in sorted(refusals.items())
    }
    if endpoint.fields:
        operation["parameters"] = _in_path(endpoint.path) + _parameters(endpoint.fields)
    if endpoint.images != "none":
        operation["requestBody"] = _body(endpoint)
    return operation


def _reply(endpoint: Endpoint) -> dict[str, Any]:
    if isinstance(endpoint.reply, type):
        return {"application/json": {"schema": _ref(endpoint.reply)}}
    schema = {"type": "string"} | ({"format": "binary"} if endpoint.images != "none" else {})
    return {endpoint.reply: {"schema": schema}}


def _refusals(endpoint: Endpoint) -> dict[str, str]:
    if endpoint.fields is schemas.LandingFields:
        return LANDING_REFUSALS
    return REFUSALS if endpoint.images != "none" else CARD_REFUSALS


def _in_path(path: str) -> list[dict[str, Any]]:
    """Parameters that are parts of the path."""
    return [
        {"name": name, "in": "path", "required": True, "schema": {"type": "string"}}
        for name in re.findall(r"{(\w+)}", path)
    ]


def _parameters(fields: type[Wire]) -> list[dict[str, Any]]:
    properties = fields.model_json_schema()["properties"]
    return [
        {"name": name, "in": "query", "required": False, "schema": schema}
        for name, schema in properties.items()
    ]


def _body(endpoint: Endpoint) -> dict[str, Any]:
    assert endpoint.fields
    file: dict[str, Any] = {"type": "string", "format": "binary"}
    image = file if endpoint.images == "one" else {"type": "array", "items": file}
    form = {
        "type": "object",
        "required": [endpoint.image_field],
        "properties": {endpoint.image_field: image}
        | endpoint.fields.model_json_schema()["properties"],
    }
    return {
        "required": True,
        "content": {"multipart/form-data": {"schema": form}, "image/*": {"schema": file}},
    }


def _health(text: str) -> dict[str, Any]:
    return {"summary": text, "responses": {"200": {"description": "Yes"}}}


def _ref(model: type[Wire]) -> dict[str, str]:
    return {"$ref": REF.format(model=model.__name__)}

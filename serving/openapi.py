"""What FastAPI cannot know of the routes, for the OpenAPI document: forms with images, which
`serving.uploads` reads, and how requests are refused."""

from collections.abc import Mapping
from typing import Any

from fastapi import FastAPI

from serving.access.permissions import GuardedRoute
from serving.schemas import ErrorReply, Wire

GATE = {
    401: "No API token came, or one that opens nothing (any more)",
    403: "The token's role may not ask this, or a web page from elsewhere asks",
    429: "The token asks too often; Retry-After says when to go on",
}
"""Where tokens are asked for, every route may answer so."""
NO_CHAMPION = {503: "No champion serves yet"}
REFUSALS = {
    **NO_CHAMPION,
    400: "The request is not put together as it should be",
    404: "No such data set",
    408: "The body took too long to arrive",
    413: "Too much: bytes, pixels or images",
    415: "Not an image, or not sent as one",
    422: "The image cannot be read, or a field's value cannot be used",
}
CARD_REFUSALS = {
    **NO_CHAMPION,
    400: "The request is not put together as it should be",
    404: "No such data set, or its version has no card here",
    422: "A field's value cannot be used",
}
SAMPLE_REFUSALS = {
    **NO_CHAMPION,
    404: "No such data set or sample",
    422: "The number of the sample is not a number",
}
LANDING_REFUSALS = {
    **REFUSALS,
    422: "The data set has no such label, or takes its labels from a table",
    503: "The landing folder cannot be used now, or too much waits",
    507: "The landing folder's disk is full",
}
JOB_REFUSALS = {
    404: "No such job (any more), or this service takes no jobs",
    503: "The queue's database does not answer now",
}
RESULT_REFUSALS = {
    **REFUSALS,
    **JOB_REFUSALS,
    409: "The job has not ended yet",
    410: "The job was not answered in time",
    500: "The service made a mistake each time it tried",
}
SUBMIT_REFUSALS = {
    **REFUSALS,
    404: "This service takes no jobs",
    409: "The key is that of another image's job",
    422: "A field's value cannot be used",
    503: "Too many jobs wait, or the queue's database does not answer now",
}
TOKEN = {"token": {"type": "http", "scheme": "bearer", "description": "Of medloop token new"}}
FILE = {"type": "string", "format": "binary"}


def refusals(
    *described: Mapping[int, str], shape: type[Wire] = ErrorReply
) -> dict[int | str, dict[str, Any]]:
    """The refusals of a route that needs a token, besides those described."""
    texts = GATE | {status: text for some in described for status, text in some.items()}
    return {status: {"description": texts[status], "model": shape} for status in sorted(texts)}


def answers(media_type: str, schema: Mapping[str, str]) -> dict[int | str, dict[str, Any]]:
    """What a route answers that does not answer JSON."""
    return {200: {"description": "The answer", "content": {media_type: {"schema": schema}}}}


def form(
    fields: type[Wire], *, several: bool = False, image_field: str = "image"
) -> dict[str, Any]:
    """The body of a route that takes images: a form with its fields, or an image alone.

    Args:
        fields: the text fields, each of which may also be in the query.
        several: whether more than one image may come.
        image_field: the form's field with the image.
    """
    image = {"type": "array", "items": FILE} if several else FILE
    properties = {image_field: image, **fields.model_json_schema()["properties"]}
    schema = {"type": "object", "required": [image_field], "properties": properties}
    content = {"multipart/form-data": {"schema": schema}, "image/*": {"schema": FILE}}
    return {"requestBody": {"required": True, "content": content}}


def document(app: FastAPI) -> dict[str, Any]:
    """The OpenAPI document, with who needs a token."""
    described = app.openapi()
    described["components"]["securitySchemes"] = TOKEN
    described["security"] = [{"token": []}, {}]  # beyond loopback a token is needed, on it none is
    for route in app.routes:
        if isinstance(route, GuardedRoute) and route.permission.role is None:
            for operation in described["paths"].get(route.path, {}).values():
                operation["security"] = []
    return described

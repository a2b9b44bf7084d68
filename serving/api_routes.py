"""How the service's routes answer BentoML's API methods.

BentoML gives an `@bentoml.api` method a route of its own, before the mounted application. That
route would write uploads to disk, know no limits and refuse in another shape.
"""

from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path

import bentoml
import httpx
from starlette.types import ASGIApp, Receive, Scope, Send


@dataclass(frozen=True)
class ApiRoutes:
    """ASGI middleware that sends the paths of the API methods straight to the service's routes.

    Args:
        app: BentoML's application.
        routes: the service's own.
        paths: of the API methods.
    """

    app: ASGIApp
    routes: ASGIApp
    paths: frozenset[str]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        is_ours = scope["type"] == "http" and scope["path"] in self.paths
        await (self.routes if is_ours else self.app)(scope, receive, send)


async def ask(routes: ASGIApp, path: str, image: Path, **fields: object) -> httpx.Response:
    """Ask a route in this process, as a client does over HTTP.

    Args:
        routes: the service's own.
        path: of the route.
        image: file to send.
        fields: its text fields; ``None`` is left out.

    Raises:
        BentoMLException: it was refused; carries the HTTP status and the message.
    """
    sent = {name: str(value) for name, value in fields.items() if value is not None}
    transport = httpx.ASGITransport(routes)
    async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as client:
        reply = await client.post(path, files={"image": image.read_bytes()}, data=sent)
    if reply.is_error:
        message = reply.json()["error"]["message"]
        raise bentoml.exceptions.BentoMLException(message, error_code=HTTPStatus(reply.status_code))
    return reply

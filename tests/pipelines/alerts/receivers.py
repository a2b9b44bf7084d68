"""Real servers that receive alerts: SMTP and HTTP."""

import json
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import default
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session

from stack.ports import find_free

HOST = "127.0.0.1"


@dataclass
class Mailbox:
    """What an SMTP server has taken."""

    port: int
    messages: list[EmailMessage] = field(default_factory=list)
    recipients: list[str] = field(default_factory=list)

    async def handle_DATA(self, _server: SMTP, _session: Session, envelope: Envelope) -> str:
        assert isinstance(envelope.content, bytes)
        self.messages.append(message_from_bytes(envelope.content, policy=default))
        self.recipients += envelope.rcpt_tos
        return "250 taken"


@contextmanager
def mail_server(
    *,
    port: int | None = None,
    login: tuple[str, str] | None = None,
    starttls: ssl.SSLContext | None = None,
    tls: ssl.SSLContext | None = None,
) -> Iterator[Mailbox]:
    """An SMTP server on this machine, for as long as the context lasts."""

    def authenticate(_s: SMTP, _n: Session, _e: Envelope, _m: str, data: Any) -> AuthResult:
        assert isinstance(data, LoginPassword)
        given = (data.login.decode(), data.password.decode())
        return AuthResult(success=given == login, handled=False)

    mailbox = Mailbox(port or find_free(HOST))
    controller = Controller(
        mailbox,
        hostname=HOST,
        port=mailbox.port,
        ssl_context=tls,
        tls_context=starttls,
        require_starttls=starttls is not None,
        authenticator=authenticate if login else None,
        auth_required=login is not None,
        auth_require_tls=starttls is not None,
    )
    controller.start()
    try:
        yield mailbox
    finally:
        controller.stop()


@dataclass(frozen=True)
class Post:
    """What was posted."""

    path: str
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> dict[str, Any]:
        """The body."""
        fields: dict[str, Any] = json.loads(self.body)
        return fields


@dataclass
class Hook:
    """An HTTP server that answers every POST alike."""

    port: int
    status: int = 200
    location: str | None = None
    posts: list[Post] = field(default_factory=list)

    @property
    def url(self) -> str:
        """An address of it that is a secret."""
        return f"http://{HOST}:{self.port}/services/T0/s3cret-path"

    @property
    def titles(self) -> list[tuple[str, str]]:
        """State and title of what was posted, in order."""
        return [(post.json["state"], post.json["title"]) for post in self.posts]


@contextmanager
def hook_server(*, port: int | None = None) -> Iterator[Hook]:
    """An HTTP server on this machine, for as long as the context lasts."""
    hook = Hook(port or find_free(HOST))

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            hook.posts.append(Post(self.path, dict(self.headers), body))
            self.send_response(hook.status)
            if hook.location:
                self.send_header("Location", hook.location)
            self.end_headers()

        def log_message(self, format: str, *args: Any) -> None: ...

    server = ThreadingHTTPServer((HOST, hook.port), Handler)
    thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield hook
    finally:
        server.shutdown()
        thread.join()
        server.server_close()

"""A NameNode that answers every question with one and the same exception."""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer


class NameNode(HTTPServer):
    """Says ``exception`` and ``message`` in WebHDFS's words."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Answer)
        self.exception, self.message = "FileNotFoundException", "File does not exist: /medloop/a"

    @property
    def url(self) -> str:
        """Where it answers."""
        return f"http://127.0.0.1:{self.server_port}"


class _Answer(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        assert isinstance(self.server, NameNode)
        remote = {"exception": self.server.exception, "message": self.server.message}
        body = json.dumps({"RemoteException": remote}).encode()
        self.send_response(403)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@contextmanager
def refusing_namenode() -> Iterator[NameNode]:
    """One that runs for as long as the context lasts."""
    server = NameNode()
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()

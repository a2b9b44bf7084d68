"""An S3 server in this process (moto's), which a test can make fail, refuse or forget."""

import logging
import os
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from pipelines.settings import Settings

BUCKET = "medloop-tests"
SECRET = "secret-of-the-tests"
CREDENTIALS = f"""[default]
aws_access_key_id = tester
aws_secret_access_key = {SECRET}
"""


class S3Server:
    """Answers one request at a time, so that what it checks and what it stores are one step.

    Args:
        certificate: files of its certificate and key, for TLS.
    """

    def __init__(self, certificate: tuple[str, str] | None = None) -> None:
        from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app
        from werkzeug.serving import make_server

        logging.getLogger("werkzeug").setLevel(logging.ERROR)
        self._app = DomainDispatcherApplication(create_backend_app)
        self._server = make_server(
            "127.0.0.1", 0, self._answer, threaded=True, ssl_context=certificate
        )
        self._scheme = "https" if certificate else "http"
        self._lock = threading.Lock()
        self.answers_instead: Callable[[dict[str, Any]], str | None] = lambda _: None
        """Given a request (WSGI), the status of a failure that is answered instead, or ``None``."""
        self.requests: list[str] = []
        """Method and path of every request."""
        self.honours_conditions = True
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    @property
    def url(self) -> str:
        """Where it answers."""
        return f"{self._scheme}://127.0.0.1:{self._server.server_port}"

    def settings(self, path: str, **fields: Any) -> Settings:
        """Those of an installation with its store in this server's bucket."""
        return Settings(store=f"s3://{BUCKET}/{path}", store_endpoint=self.url, **fields)

    def set_modified(self, key: str, when: float) -> None:
        """Change when an object was written last, as no client can."""
        from moto.backends import get_backend

        (backend,) = (b["aws"] for b in get_backend("s3").values() if BUCKET in b["aws"].buckets)
        backend.buckets[BUCKET].keys[key].last_modified = datetime.fromtimestamp(when, UTC)

    def close(self) -> None:
        """Stop answering."""
        self._server.shutdown()
        self._server.server_close()

    def _answer(self, environ: dict[str, Any], start: Callable[..., Any]) -> Iterable[bytes]:
        with self._lock:
            self.requests.append(f"{environ['REQUEST_METHOD']} {environ['PATH_INFO']}")
            if (status := self.answers_instead(environ)) is not None:
                start(status, [("Content-Length", "0")])
                return [b""]
            if not self.honours_conditions:
                environ.pop("HTTP_IF_NONE_MATCH", None)
            return list(self._app(environ, start))


@contextmanager
def s3_server(certificate: tuple[str, str] | None = None) -> Iterator[S3Server]:
    """One with a bucket, for as long as the context lasts."""
    import s3fs

    server = S3Server(certificate)
    client = {"verify": certificate[0]} if certificate else {}
    with credentials():
        s3fs.S3FileSystem(
            endpoint_url=server.url, client_kwargs=client, skip_instance_cache=True
        ).makedirs(BUCKET, exist_ok=True)  # moto keeps it for the whole process
    try:
        yield server
    finally:
        server.close()


@contextmanager
def credentials() -> Iterator[None]:
    """The server's credentials in the usual file, where Spark's executors find them too."""
    file = Path.home() / ".aws" / "credentials"
    file.parent.mkdir(exist_ok=True)
    file.write_text(CREDENTIALS, encoding="utf-8")
    others = {name for name in os.environ if name.startswith("AWS_")}
    with pytest.MonkeyPatch.context() as patch:
        for name in others:
            patch.delenv(name)
        patch.setenv("AWS_EC2_METADATA_DISABLED", "true")
        yield
    file.unlink()

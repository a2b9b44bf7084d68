"""What a NameNode answers while it cannot serve is no answer to whether a file is there."""

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from pipelines.errors import NotFound, StoreUnavailable
from pipelines.storage.hdfs import HdfsStore

MISSING = ("FileNotFoundException", "File does not exist: /medloop/a")
NOT_READY = [
    ("RetriableException", "Namenode is in startup mode"),
    ("StandbyException", "Operation category READ is not supported in state standby"),
    ("SafeModeException", "Cannot create file. Name node is in safe mode."),
    ("IOException", "Failed to find datanode, suggest to check cluster health."),
]
"""As real ones were heard to say them."""


class NameNode(HTTPServer):
    """Answers every question with one exception, in WebHDFS's words."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Answer)
        self.exception, self.message = MISSING


class Answer(BaseHTTPRequestHandler):
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


@pytest.fixture
def namenode() -> Iterator[NameNode]:
    server = NameNode()
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield server
    server.shutdown()
    server.server_close()


@pytest.fixture
def store(namenode: NameNode) -> HdfsStore:
    url = f"http://127.0.0.1:{namenode.server_port}"
    return HdfsStore("hdfs://127.0.0.1:8020/medloop", webhdfs=url, user="medloop")


@pytest.mark.parametrize(("exception", "message"), NOT_READY)
def test_one_that_is_not_ready_is_told_as_what_can_heal(
    namenode: NameNode, store: HdfsStore, exception: str, message: str
) -> None:
    namenode.exception, namenode.message = exception, message

    for ask in (store.exists, store.names, store.size, store.open):
        with pytest.raises(StoreUnavailable, match="is not ready"):
            ask("a")


def test_only_a_file_that_it_does_not_know_is_missing(store: HdfsStore) -> None:
    assert not store.exists("a")
    assert store.names("a") == []
    with pytest.raises(NotFound):
        store.open("a")

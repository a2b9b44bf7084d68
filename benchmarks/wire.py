"""A client that costs next to nothing: requests are bytes made beforehand, answers barely read.

An ordinary HTTP library spends about a millisecond of its own on each request, as much as the
service does besides decoding and inference; measuring through one measures mostly the library.
"""

import secrets
import select
import socket
from types import TracebackType

HEAD_END = b"\r\n\r\n"
LENGTH = b"content-length:"


class Refused(Exception):
    """An answer whose status is not 200."""


def request(path: str, body: bytes = b"", content_type: str = "") -> bytes:
    """A whole HTTP/1.1 request; GET without a content type."""
    method = "POST" if content_type else "GET"
    head = [f"{method} {path} HTTP/1.1", "Host: localhost", "Accept: */*"]
    if content_type:
        head += [f"Content-Type: {content_type}", f"Content-Length: {len(body)}"]
    return "\r\n".join(head).encode() + HEAD_END + body


def form(path: str, *images: bytes, field: str = "image") -> bytes:
    """The request of a multipart form that holds images as files."""
    boundary = secrets.token_hex(16)
    parts = [
        f"--{boundary}\r\nContent-Disposition: form-data; name={field!r}; filename='{i}.png'\r\n"
        "Content-Type: image/png\r\n\r\n".replace("'", '"').encode()
        + image
        + b"\r\n"
        for i, image in enumerate(images)
    ]
    body = b"".join(parts) + f"--{boundary}--\r\n".encode()
    return request(path, body, f"multipart/form-data; boundary={boundary}")


class Connection:
    """One kept connection; made anew where the server has closed it because it was idle."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._socket = _connected(port)

    def __enter__(self) -> "Connection":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._socket.close()

    def ask(self, message: bytes) -> bytes:
        """Send a request and wait for the whole answer.

        Returns:
            Its body.

        Raises:
            Refused: its status is not 200.
        """
        if select.select([self._socket], [], [], 0)[0]:  # nothing was asked: it says goodbye
            self._socket.close()
            self._socket = _connected(self._port)
        self._socket.sendall(message)
        answer = b""
        while (end := answer.find(HEAD_END)) < 0:
            answer += self._more()
        head = answer[:end]
        missing = body_length(head) - (len(answer) - end - len(HEAD_END))
        parts = [answer[end + len(HEAD_END) :]]
        while missing > 0:
            parts.append(self._more())
            missing -= len(parts[-1])
        body = b"".join(parts)
        require_ok(head, body)
        return body

    def _more(self) -> bytes:
        data = self._socket.recv(1 << 20)
        if not data:
            raise Refused("the connection was closed")
        return data


def _connected(port: int) -> socket.socket:
    made = socket.create_connection(("127.0.0.1", port), timeout=120)
    made.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return made


def body_length(head: bytes) -> int:
    """What a response's head says its body has in bytes."""
    lower = head.lower()
    at = lower.index(LENGTH) + len(LENGTH)
    return int(lower[at : lower.find(b"\r\n", at)] if b"\r\n" in lower[at:] else lower[at:])


def require_ok(head: bytes, body: bytes) -> None:
    """Raises Refused: the status is not 200."""
    if head.split(b" ", 2)[1] != b"200":
        raise Refused((head.split(b"\r\n")[0] + b" " + body[:300]).decode("utf-8", "replace"))

"""Without tokens: this machine only, and no page from elsewhere."""

import pytest
from starlette.requests import Request

from serving.access.clients import Loopback
from serving.context import Problem

LOOPBACK = Loopback(("scanner.local",), ("https://viewer.example",))


def request(server: str = "127.0.0.1", **headers: str) -> Request:
    given = {"host": "localhost:3000"} | headers
    raw = [(name.encode(), value.encode()) for name, value in given.items() if value]
    return Request({"type": "http", "server": (server, 3000), "headers": raw, "path": "/predict"})


@pytest.mark.parametrize(
    "host",
    ["localhost", "LOCALHOST:3000", "127.0.0.1:3000", "[::1]:3000", "scanner.local:80"],
)
def test_names_of_this_machine_are_let_in(host: str) -> None:
    LOOPBACK.admit(request(host=host))


@pytest.mark.parametrize(
    "host",
    [
        "evil.example",
        "localhost.evil.example",
        "evil.example:3000@localhost",
        "localhost@evil.example",
        "127.0.0.1.nip.io",
        "10.0.0.5",
        "[::1",
        "",
    ],
)
def test_any_other_name_is_refused(host: str) -> None:
    with pytest.raises(Problem) as told:
        LOOPBACK.admit(request(host=host))
    assert (told.value.status, told.value.code) == (403, "foreign_host")


def test_pages_of_ours_and_of_allowed_origins_may_ask() -> None:
    LOOPBACK.admit(request(origin="http://localhost:3000"))
    LOOPBACK.admit(request(origin="https://viewer.example"))


@pytest.mark.parametrize(
    "origin",
    ["https://evil.example", "null", "http://localhost:8000", "https://viewer.example.evil"],
)
def test_pages_from_elsewhere_may_not(origin: str) -> None:
    with pytest.raises(Problem) as told:
        LOOPBACK.admit(request(origin=origin))
    assert (told.value.status, told.value.code) == (403, "foreign_origin")


def test_what_comes_from_beyond_loopback_needs_a_token() -> None:
    with pytest.raises(Problem) as told:
        LOOPBACK.admit(request(server="192.168.1.7"))
    assert told.value.status == 401

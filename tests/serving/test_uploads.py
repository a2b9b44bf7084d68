"""Forms are taken apart as the standard says; `test_endpoints` holds the bad ones."""

import asyncio

import pytest
from starlette.requests import Request
from starlette.testclient import TestClient
from starlette.types import Message

from serving.context import Problem, open_context
from serving.uploads import Limits, Upload, read_upload
from tests.serving.bundles import png


def _read(body: bytes, content_type: str) -> Upload:
    async def receive() -> Message:
        return {"type": "http.request", "body": body, "more_body": False}

    scope = {
        "type": "http",
        "method": "POST",
        "path": "/predict",
        "query_string": b"",
        "headers": [(b"content-type", content_type.encode("latin-1"))],
    }
    open_context(scope)
    return asyncio.run(read_upload(Request(scope, receive), Limits()))


def _form(*parts: bytes) -> bytes:
    return b"".join(b"--b\r\n" + part + b"\r\n" for part in parts) + b"--b--\r\n"


FILE = b'Content-Disposition: form-data; name="image"; filename="a.png"\r\n\r\n'
FORM = "multipart/form-data; boundary=b"


def test_bytes_of_a_file_arrive_as_they_are() -> None:
    data = bytes(range(256)) + b"\r\n--a\r\n--"
    assert _read(_form(FILE + data), FORM).images == (data,)


def test_fields_are_in_the_form_or_in_the_query_and_the_form_wins(
    serving_client: TestClient,
) -> None:
    url = "/explain?target=spot&original=true"
    reply = serving_client.post(url, files={"image": png()}, data={"target": "haze"})
    assert reply.json()["target"] == "haze"
    assert reply.json()["original"]


@pytest.mark.parametrize("kind", ["image/png", "IMAGE/JPEG", "application/dicom"])
def test_a_raw_body_is_the_image(kind: str) -> None:
    assert _read(b"bytes", kind) == Upload((b"bytes",), {}, ("",))


def test_a_part_that_says_it_is_an_image_needs_no_file_name() -> None:
    part = b'Content-Disposition: form-data; name="image"\r\nContent-Type: image/png\r\n\r\nx'
    assert _read(_form(part), FORM).images == (b"x",)


@pytest.mark.parametrize(
    "body",
    [
        b"--b\r\n" + b"X: " + b"y" * 9000 + b"\r\n\r\nx\r\n--b--\r\n",
        b"--b\r\n" + b"A: b\r\n" * 50 + b"\r\nx\r\n--b--\r\n",
        b"--b\r\n\x00\xff: \xfe\r\n\r\nx\r\n--b--\r\n",
        b"--b\r\nContent-Disposition: form-data; name=\xff\xfe\r\n\r\nx\r\n--b--\r\n",
        b"no boundary at all",
        b"--b--\r\n",
    ],
    ids=["long header", "many headers", "binary header", "binary name", "no boundary", "no parts"],
)
def test_a_malformed_form_is_a_problem_of_the_client(body: bytes) -> None:
    with pytest.raises(Problem) as caught:
        _read(body, FORM)
    assert 400 <= caught.value.status < 500
    assert caught.value.code in ("bad_multipart", "no_image")


@pytest.mark.parametrize(
    ("sent", "read"),
    [
        (b'"spot"', {"target": "spot"}),
        (b'"a \\"b\\""', {"target": 'a "b"'}),
        (b"spot", {"target": "spot"}),
        (b'"', {"target": '"'}),
        (b'"a"b"', {"target": '"a"b"'}),
        (b"null", {}),
    ],
)
def test_a_text_field_may_be_json_as_bentoml_s_client_sends_it(
    sent: bytes, read: dict[str, str]
) -> None:
    field = b'Content-Disposition: form-data; name="target"\r\n\r\n'
    assert _read(_form(FILE + b"x", field + sent), FORM).fields == read

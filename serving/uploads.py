"""Requests → image bytes and fields, from a raw body or a multipart form, within limits.

A form is taken apart in memory with python-multipart's parser: no temporary files, and a text
value is never anything but text (in particular no address to fetch an image from). FastAPI's own
forms are written to disk when they are large, and know no limits.
"""

import asyncio
import json
from contextlib import suppress
from dataclasses import dataclass, field

from python_multipart.exceptions import MultipartParseError
from python_multipart.multipart import MultipartParser, parse_options_header
from starlette.requests import ClientDisconnect, Request

from serving.context import Problem, context_of

MEGABYTE = 1 << 20
DRAINED = 2
"""A body is read up to this many times the limit before its connection is closed."""
RAW_TYPES = ("image/", "application/dicom", "application/octet-stream")
IMAGE_FIELDS = ("image", "file")
"""Parts of a form that hold an image; ``file`` is what clients of the legacy API call it."""
MAX_TEXT_BYTES = 1_000
MAX_FIELDS = 16
HOW_TO_SEND = (
    "Send multipart/form-data with a file in the field 'image', or the image itself as the body "
    "with a Content-Type of image/…"
)


class UploadBudget:
    """The bytes of all bodies that are read or worked on now, and how many they may be.

    Args:
        most: bytes; a form is taken apart in memory, so it costs up to three times its size.
    """

    def __init__(self, most: int = 256 * MEGABYTE) -> None:
        self._most = most
        self.taken = 0

    def take(self, size: int) -> None:
        """Raises Problem: with so many bytes more there would be too many (503)."""
        if self.taken + size > self._most:
            raise Problem(
                503,
                "overloaded",
                "More is being uploaded to this service than it can hold. Send it again later.",
                headers={"Retry-After": "1"},
            )
        self.taken += size

    def give_back(self, size: int) -> None:
        """Release bytes."""
        self.taken -= size


class UploadShare:
    """What one request takes of the `UploadBudget` until it is answered.

    Args:
        budget: what it is taken from.
    """

    def __init__(self, budget: UploadBudget) -> None:
        self._budget = budget
        self._bytes = 0

    def add(self, size: int) -> None:
        """Take more; raises Problem as `UploadBudget.take` does."""
        self._budget.take(size)
        self._bytes += size

    def release(self) -> None:
        """Give all of it back."""
        self._budget.give_back(self._bytes)
        self._bytes = 0


@dataclass(frozen=True)
class Limits:
    """The bounds of one request; pixels are bounded by each data set's spec, before decoding."""

    body_bytes: int = 64 * MEGABYTE
    """Largest body, however it is sent."""
    images: int = 32
    """Most images in one batch."""
    read_seconds: float = 30.0
    """Longest time a body may take to arrive."""
    budget: UploadBudget = field(default_factory=UploadBudget)
    """All requests together."""


@dataclass(frozen=True)
class Upload:
    """What a client sent."""

    images: tuple[bytes, ...]
    fields: dict[str, str]
    """Text fields of a form."""
    names: tuple[str, ...]
    """What the client calls each image; empty where it does not say."""


@dataclass
class _Part:
    """One part of a form, as it is being read."""

    headers: dict[bytes, bytes] = field(default_factory=dict)
    data: bytearray = field(default_factory=bytearray)
    header_name: bytearray = field(default_factory=bytearray)
    header_value: bytearray = field(default_factory=bytearray)

    @property
    def disposition(self) -> dict[bytes, bytes]:
        return parse_options_header(self.headers.get(b"content-disposition"))[1]

    @property
    def name(self) -> str:
        return self.disposition.get(b"name", b"").decode("utf-8", "replace")

    @property
    def file_name(self) -> str:
        return self.disposition.get(b"filename", b"").decode("utf-8", "replace")

    @property
    def is_file(self) -> bool:
        sent_as = self.headers.get(b"content-type", b"").decode("latin-1").lower()
        return b"filename" in self.disposition or sent_as.startswith(RAW_TYPES)


async def read_upload(request: Request, limits: Limits) -> Upload:
    """The images of a request, and the text fields of its form.

    Raises:
        Problem: the body is too large, too slow, no form and no image, or has no image in it.
    """
    content_type = request.headers.get("content-type", "")
    kind, options = parse_options_header(content_type)
    body = await read_body(request, limits)
    if kind == b"multipart/form-data":
        boundary = options.get(b"boundary")
        if not boundary:
            message = "The multipart Content-Type has no boundary; let the HTTP library set it."
            raise Problem(400, "bad_multipart", message)
        return _checked(_from_form(_parts(body, boundary, limits)), limits)
    if content_type.lower().startswith(RAW_TYPES):
        return _checked(Upload((body,), {}, ("",)) if body else Upload((), {}, ()), limits)
    sent = f"a body of type {content_type!r}" if content_type else "a body without a type"
    raise Problem(415, "unsupported_type", f"Got {sent}. {HOW_TO_SEND}.")


async def read_body(request: Request, limits: Limits) -> bytes:
    """The request's body, read no further than the limit.

    A body in chunks announces no length, so it is counted as it comes. What is too much is not
    kept, but read on for a while: a client that is cut off in mid-sentence never hears why.

    Raises:
        Problem: too large (413), too slow (408), too much with all other bodies (503), or the
            client went away (400).
    """
    parts: list[bytes] = []
    size = 0
    context_of(request).upload = share = UploadShare(limits.budget)
    try:
        async with asyncio.timeout(limits.read_seconds):
            async for part in request.stream():
                size += len(part)
                if size > limits.body_bytes:
                    parts.clear()
                    share.release()
                    if size > DRAINED * limits.body_bytes:
                        break
                else:
                    share.add(len(part))
                    parts.append(part)
    except TimeoutError as error:
        message = f"The body did not arrive within {limits.read_seconds:g} s; send it again."
        raise Problem(408, "too_slow", message) from error
    except ClientDisconnect as error:
        raise Problem(400, "disconnected", "The client went away before its body ended.") from error
    if size > limits.body_bytes:
        most = limits.body_bytes / MEGABYTE
        message = f"The body is larger than {most:g} MB, the most that is taken."
        raise Problem(413, "body_too_large", message)
    return b"".join(parts)


def _checked(upload: Upload, limits: Limits) -> Upload:
    if not upload.images:
        raise Problem(400, "no_image", f"There is no image in the request. {HOW_TO_SEND}.")
    if len(upload.images) > limits.images:
        message = f"{len(upload.images)} images in one request; at most {limits.images} are taken."
        raise Problem(413, "too_many_images", message)
    return upload


def _from_form(parts: list[_Part]) -> Upload:
    images: list[bytes] = []
    names: list[str] = []
    fields: dict[str, str] = {}
    for part in parts:
        if part.name in IMAGE_FIELDS:
            if not part.is_file:
                message = (
                    f"The field {part.name!r} holds text; send the file itself "
                    f"(curl: -F {part.name}=@f)."
                )
                raise Problem(415, "not_a_file", message)
            images.append(bytes(part.data))
            names.append(part.file_name)
        elif part.is_file:
            message = f"A file came in the field {part.name!r}; send it in the field 'image'."
            raise Problem(400, "unknown_field", message)
        elif len(part.data) > MAX_TEXT_BYTES:
            message = f"The field {part.name!r} is longer than {MAX_TEXT_BYTES} bytes."
            raise Problem(413, "field_too_large", message)
        elif (text := _plain(part.data.decode("utf-8", "replace"))) is not None:
            fields[part.name] = text
    return Upload(tuple(images), fields, tuple(names))


def _plain(text: str) -> str | None:
    """The value of a text field. BentoML's clients send JSON: a string in quotes, and ``null``
    where a field is left out."""
    if text == "null":
        return None
    if len(text) > 1 and text[0] == text[-1] == '"':
        with suppress(ValueError):
            return str(json.loads(text))
    return text


def _parts(body: bytes, boundary: bytes, limits: Limits) -> list[_Part]:
    """Take a form apart.

    Raises:
        Problem: it is malformed, ends early, or has too many parts.
    """
    parts: list[_Part] = []
    most = limits.images + MAX_FIELDS
    ended = False

    def part_begins() -> None:
        if len(parts) == most:
            raise Problem(413, "too_many_parts", f"The form has more than {most} parts.")
        parts.append(_Part())

    def header_ends() -> None:
        part = parts[-1]
        part.headers[bytes(part.header_name).lower()] = bytes(part.header_value)
        part.header_name.clear()
        part.header_value.clear()

    def form_ends() -> None:
        nonlocal ended
        ended = True

    parser = MultipartParser(
        boundary,
        {
            "on_part_begin": part_begins,
            "on_header_field": lambda data, a, b: parts[-1].header_name.extend(data[a:b]),
            "on_header_value": lambda data, a, b: parts[-1].header_value.extend(data[a:b]),
            "on_header_end": header_ends,
            "on_part_data": lambda data, a, b: parts[-1].data.extend(data[a:b]),
            "on_end": form_ends,
        },
    )
    try:
        parser.write(body)
        parser.finalize()
    except MultipartParseError as error:
        raise Problem(400, "bad_multipart", f"The form is malformed: {error}.") from error
    if not ended:
        raise Problem(400, "bad_multipart", "The form ends before its closing boundary.")
    return parts

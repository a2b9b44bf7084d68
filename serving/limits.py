"""How much a client may send, and how long it may take to send it."""

import asyncio
from dataclasses import dataclass

from starlette.requests import ClientDisconnect, Request

from serving.problems import Problem

MEGABYTE = 1 << 20
DRAINED = 2
"""A body is read up to this many times the limit before its connection is closed."""


@dataclass(frozen=True)
class Limits:
    """The bounds of one request; pixels are bounded by each data set's spec, before decoding."""

    body_bytes: int = 64 * MEGABYTE
    """Largest body, however it is sent."""
    images: int = 32
    """Most images in one batch."""
    read_seconds: float = 30.0
    """Longest time a body may take to arrive."""


async def read_body(request: Request, limits: Limits) -> bytes:
    """The request's body, read no further than the limit.

    A body in chunks announces no length, so it is counted as it comes. What is too much is not
    kept, but read on for a while: a client that is cut off in mid-sentence never hears why.

    Raises:
        Problem: too large (413), too slow (408), or the client went away (400).
    """
    parts: list[bytes] = []
    size = 0
    try:
        async with asyncio.timeout(limits.read_seconds):
            async for part in request.stream():
                size += len(part)
                if size > limits.body_bytes:
                    parts.clear()
                    if size > DRAINED * limits.body_bytes:
                        break
                else:
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

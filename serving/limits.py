"""How much a client may send, and how long it may take to send it."""

import asyncio
from dataclasses import dataclass, field

from starlette.requests import ClientDisconnect, Request

from serving.problems import Problem

MEGABYTE = 1 << 20
DRAINED = 2
"""A body is read up to this many times the limit before its connection is closed."""


class Bodies:
    """The bytes of all bodies that are read or worked on now, and how many they may be.

    Args:
        most: bytes; a form is taken apart in memory, so it costs up to three times its size.
    """

    def __init__(self, most: int = 256 * MEGABYTE) -> None:
        self._most = most
        self.held = 0

    def take(self, size: int) -> None:
        """Raises Problem: with so many bytes more there would be too many (503)."""
        if self.held + size > self._most:
            raise Problem(
                503,
                "overloaded",
                "More is being uploaded to this service than it can hold. Send it again later.",
                headers={"Retry-After": "1"},
            )
        self.held += size

    def give_back(self, size: int) -> None:
        """Bytes that are no longer held."""
        self.held -= size


@dataclass(frozen=True)
class Limits:
    """The bounds of one request; pixels are bounded by each data set's spec, before decoding."""

    body_bytes: int = 64 * MEGABYTE
    """Largest body, however it is sent."""
    images: int = 32
    """Most images in one batch."""
    read_seconds: float = 30.0
    """Longest time a body may take to arrive."""
    bodies: Bodies = field(default_factory=Bodies)
    """All requests together."""


class Held:
    """What one request holds of `Bodies`, until it is answered.

    Args:
        bodies: what it is taken from.
    """

    def __init__(self, bodies: Bodies) -> None:
        self._bodies = bodies
        self._bytes = 0

    def more(self, size: int) -> None:
        """Take more; raises Problem as `Bodies.take` does."""
        self._bodies.take(size)
        self._bytes += size

    def release(self) -> None:
        """Give all of it back."""
        self._bodies.give_back(self._bytes)
        self._bytes = 0


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
    request.state.held = held = Held(limits.bodies)
    try:
        async with asyncio.timeout(limits.read_seconds):
            async for part in request.stream():
                size += len(part)
                if size > limits.body_bytes:
                    parts.clear()
                    held.release()
                    if size > DRAINED * limits.body_bytes:
                        break
                else:
                    held.more(len(part))
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

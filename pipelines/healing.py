"""Which errors can heal by themselves, so that trying again is worth it.

A connection that broke, a server that starts, a process that was killed for its memory: the next
try may go well. A check that is not met, an invalid file or a mistake in a program fails the same
way again, after the same hours of work.
"""

import errno
from concurrent.futures import BrokenExecutor

from pipelines.errors import MedloopError, Unavailable

ERRNOS = {
    *(errno.EAGAIN, errno.EINTR, errno.EBUSY, errno.ENOMEM, errno.ESTALE),
    *(errno.EHOSTUNREACH, errno.ENETUNREACH, errno.ENETDOWN, errno.EHOSTDOWN),
}
"""Of errors of the operating system; connections and timeouts have classes of their own."""
FOREIGN = {
    *(("requests", name) for name in ("ConnectionError", "Timeout", "ChunkedEncodingError")),
    *(("urllib3", name) for name in ("ProtocolError", "TimeoutError", "MaxRetryError")),
    ("httpx", "TransportError"),
    ("socket", "gaierror"),
}
"""Package and class of libraries' errors; by name, as importing the libraries takes seconds."""
TEMPORARY = ("INTERNAL_ERROR", "TEMPORARILY_UNAVAILABLE", "REQUEST_LIMIT_EXCEEDED")
"""Error codes of MLflow after which trying again can help."""


def can_heal(error: BaseException) -> bool:
    """Whether the same work may succeed when it is tried again."""
    if isinstance(error, MedloopError):
        return isinstance(error, Unavailable)
    if isinstance(error, ConnectionError | TimeoutError | BrokenExecutor | MemoryError):
        return True
    if isinstance(error, OSError) and error.errno in ERRNOS:
        return True
    if getattr(error, "error_code", None) in TEMPORARY:
        return True
    kinds = {(kind.__module__.partition(".")[0], kind.__name__) for kind in type(error).__mro__}
    if ("sqlite3", "OperationalError") in kinds:
        return "locked" in str(error)
    return not kinds.isdisjoint(FOREIGN)

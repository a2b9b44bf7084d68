"""A request's mark: its id, and when it began."""

import secrets
import time

from starlette.types import Scope


def mark(scope: Scope) -> str:
    """The id of a request, given out when it is first asked for.

    It stands in the answer, in logs and in the audit log, and `medloop trace` starts from it.
    """
    state = scope.setdefault("state", {})
    if "request_id" not in state:
        state.update(request_id=new_request_id(), began=time.perf_counter())
    return str(state["request_id"])


def new_request_id() -> str:
    """A request ID that no other request has."""
    return secrets.token_hex(8)

"""Each request counted once, whichever layer answers it."""

import time

from starlette.types import Scope

from serving.access.doors import known
from serving.counters import count_request


def count_once(scope: Scope, status: int) -> None:
    """Count a request as its answer begins, unless it is counted already."""
    state = scope["state"]
    if not state.get("is_counted"):
        state["is_counted"] = True
        seconds = time.perf_counter() - state["began"]
        count_request(known(scope["path"]), status=status, seconds=seconds)

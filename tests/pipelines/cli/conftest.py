"""Commands are run in this process; the handlers that they set are put back."""

import logging
from collections.abc import Iterator

import pytest


@pytest.fixture(autouse=True)
def _handlers_as_before() -> Iterator[None]:
    root = logging.getLogger()
    before = root.handlers[:]
    yield
    root.handlers[:] = before

"""Commands are run in this process; what they set for a whole process is put back."""

import logging
from collections.abc import Iterator

import pytest

LOGGERS = ("", "pipelines", "stack")


@pytest.fixture(autouse=True)
def _logging_as_before() -> Iterator[None]:
    before = [
        (logging.getLogger(name).level, logging.getLogger(name).handlers[:]) for name in LOGGERS
    ]
    yield
    for name, (level, handlers) in zip(LOGGERS, before, strict=True):
        logging.getLogger(name).setLevel(level)
        logging.getLogger(name).handlers[:] = handlers

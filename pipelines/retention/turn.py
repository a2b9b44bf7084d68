"""One process at a time removes things, or copies them into a backup."""

from collections.abc import Iterator
from contextlib import contextmanager

from pipelines.locks import alone
from pipelines.settings import Settings


@contextmanager
def turn(settings: Settings) -> Iterator[None]:
    """Hold an installation's lock on removals; wait for whoever has it."""
    with alone(settings.work / "prune"):
        yield

"""Jobs of the queue that hold an image, or what was answered about it."""

from collections.abc import Iterator
from functools import partial

from pipelines import database
from pipelines.data.land.pseudonyms import Pseudonyms, keyed
from pipelines.erasure.piece import ORIGINALS, Piece
from pipelines.erasure.traces import Traces, Wanted
from pipelines.jobs.table import DATABASE
from pipelines.settings import Settings


def known(settings: Settings, wanted: Wanted, names: Pseudonyms) -> frozenset[str]:
    """sha256 of the images that are meant and that a job holds, landed or not.

    Raises:
        DatabaseUnavailable: PostgreSQL does not answer.
    """
    return frozenset(
        sha256
        for sha256 in _hashes(settings)
        if sha256 in wanted.hashes or (wanted.keyed and keyed(names, sha256) in wanted.keyed)
    )


def pieces(settings: Settings, found: Traces) -> Iterator[Piece]:
    """The jobs of the images, waiting and ended ones; raises DatabaseUnavailable."""
    held = [sha256 for sha256 in _hashes(settings) if sha256 in found.hashes]
    if held:
        remove = partial(_remove, settings, tuple(held))
        place = f"postgres:{DATABASE}"
        yield Piece(ORIGINALS, "jobs", place, "rows removed", len(held), remove)


def _hashes(settings: Settings) -> list[str]:
    """The image's sha256 of each job; none where there is no queue."""
    if not database.stands(settings):
        return []
    there = f"SELECT 1 FROM pg_database WHERE datname = '{DATABASE}'"
    if not database.query(settings, there):
        return []
    if not database.query(settings, "SELECT to_regclass('jobs')", database=DATABASE):
        return []
    return database.query(settings, "SELECT sha256 FROM jobs", database=DATABASE).split()


def _remove(settings: Settings, hashes: tuple[str, ...]) -> None:
    """Delete the rows, and write the table again without the pages that they were on."""
    listed = ", ".join(f"'{sha256}'" for sha256 in hashes)
    database.query(settings, f"DELETE FROM jobs WHERE sha256 IN ({listed})", database=DATABASE)
    database.query(settings, "VACUUM FULL jobs", database=DATABASE)

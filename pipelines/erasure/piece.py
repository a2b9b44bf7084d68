"""One thing that an erasure changes or removes."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

Order = Literal[0, 1, 2, 3, 4]
COPIES: Order = 0
"""Caches, pages and logs: copies of what is elsewhere, or drawn from it."""
DERIVED: Order = 1
"""What is computed from the images."""
ORIGINALS: Order = 2
"""The bytes themselves."""
LISTS: Order = 3
"""What says where bytes are that have gone by now."""
RECORDS: Order = 4
"""What says which images there are: the last, as a killed erasure finds the rest by it."""


@dataclass(frozen=True)
class Piece:
    """A file or folder that holds something of the images."""

    order: Order
    what: str
    """For a person: ``prepared images``."""
    place: str
    """Relative to the store (``store:phantom/prepared/ab12``), to the home (``home:cache/…``) or
    to a run in MLflow (``mlflow:<run>/figures``)."""
    how: str
    """For a person: ``rows removed``."""
    count: int
    """Rows, lines or files."""
    remove: Callable[[], None]
    """Does it; doing it again changes nothing."""

"""How far an erasure has come, so that one that was killed goes on where it stopped.

The journal is a file of the home until all is removed. It holds keyed hashes only: nobody without
the installation's key can tell which images are meant.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from pipelines.atomic import written_whole

Kind = Literal["patient", "image", "file"]


class Removed(BaseModel):
    """What was removed in one place."""

    model_config = ConfigDict(frozen=True)

    what: str
    """``prepared images``."""
    place: str
    how: str
    """``rows removed``."""
    count: int
    """Rows, lines or files."""


class Entry(BaseModel):
    """What the journal says; the certificate says it too."""

    model_config = ConfigDict(frozen=True)

    id: str
    dataset: str
    began: datetime
    by: str
    """Who asked for it: a user of this machine."""
    reason: str
    asked: Kind
    images: int
    refused: tuple[str, ...]
    """Keyed hashes of originals and landed files, by which they are refused from now on."""
    keyed: tuple[str, ...] = ()
    """Keyed hashes and paths, by which they are found again."""
    used: dict[str, tuple[str, ...]] = Field(default_factory=dict)
    """Store path of a split → which of its sets the images were in."""
    removed: tuple[Removed, ...] = ()
    changing: dict[str, int] = Field(default_factory=dict)
    """Store path of a table whose manifest may not be right yet → rows that go."""


class Journal:
    """The journal of one erasure.

    Args:
        path: the file.
        entry: what it says so far.
    """

    def __init__(self, path: Path, entry: Entry) -> None:
        self.path = path
        self.entry = entry

    @classmethod
    def read(cls, path: Path) -> "Journal | None":
        """The journal of an erasure that is not finished; ``None`` if there is none."""
        if not path.exists():
            return None
        return cls(path, Entry.model_validate_json(path.read_bytes()))

    def write(self, **changes: object) -> None:
        """Write it, with some of what it says changed."""
        self.entry = self.entry.model_copy(update=changes)
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with written_whole(self.path) as part:
            part.write_text(self.entry.model_dump_json(indent=1), "utf-8")

    def note(self, removed: Removed) -> None:
        """Add what is about to be removed."""
        self.write(removed=(*self.entry.removed, removed))

    @contextmanager
    def changing(self, path: str, rows: int) -> Iterator[None]:
        """Change a table and its manifest; if this is cut short, the manifest is mended later."""
        self.write(changing=self.entry.changing | {path: rows})
        yield
        self.settled(path)

    def settled(self, path: str) -> None:
        """Note that a table and its manifest agree."""
        left = {name: rows for name, rows in self.entry.changing.items() if name != path}
        self.write(changing=left)

    def close(self) -> None:
        """The erasure is finished."""
        self.path.unlink()

"""What of an installation belongs in a backup, and what does not."""

import re
from collections.abc import Iterator
from pathlib import Path

MADE_AGAIN = frozenset(
    {"cache", "data_docs", "logs", "metrics", "run", "stack.lock", "supervisor", "work"}
)
"""Entries of a home that the next run makes again."""
TAKEN_OTHERWISE = frozenset({"postgres", "hdfs", "yarn"})
"""Those whose content is dumped, or copied through the store."""
STAYS = frozenset({"backups", "cache", "landing"})
"""Those that a restored home takes over from the one before it: the backups themselves, what is
named by its content, and new images, which nobody has taken in yet."""

_PICTURES = re.compile(
    r"[^/]+/(packs/[^/]+/(images-|originals)|snapshots/[^/]+/images-|quarantine/[^/]+/refused-"
    r"|prepared/[^/]+/(parts/|listings/|(train|validation|test)-)|features/|data_profiles/).*"
)


def home_folders(home: Path, *, without: set[Path]) -> Iterator[Path]:
    """Folders of a home whose files belong in a backup, the home itself first.

    What a home holds and nobody knows of belongs in it too: something new is not forgotten.

    Args:
        home: the installation's.
        without: folders below it that are taken otherwise.
    """
    left_out = {home / name for name in MADE_AGAIN | TAKEN_OTHERWISE | STAYS} | without
    pending, seen = [home], set()
    while pending:
        folder = pending.pop()
        if folder.resolve() in seen:  # links may lead to another disk, or in a circle
            continue
        seen.add(folder.resolve())
        yield folder
        inside = {path for path in folder.iterdir() if path.is_dir()}
        pending.extend(sorted(inside - left_out, reverse=True))


def is_picture(path: str) -> bool:
    """Whether a file of the store holds images (packs of originals, prepared images) or what is
    drawn and counted from them and can be again (features, profiles); not records."""
    return _PICTURES.fullmatch(path) is not None


def is_table(path: str) -> bool:
    """Whether a file of the store belongs to a Delta table: its log changes after it was made."""
    return path.split("/")[1:2] == ["tables"]


def needs_originals(path: str) -> bool:
    """Whether a file of the store says of images that they are stored: it is of no use without
    ``<dataset>/packs``. Splits are of use: what was a test image stays one when it lands again."""
    is_split = path.split("/")[1:3] == ["tables", "splits"]
    return (is_table(path) and not is_split) or path.split("/")[1:2] == ["snapshots"]


def folder_of(path: str) -> str:
    """The folder of the store that was committed whole and that a file belongs to."""
    return "/".join(path.split("/")[:-1][:3])


def holds_state(home: Path) -> list[str]:
    """Entries of a home that a restore would replace; empty for a new installation."""
    if not home.is_dir():
        return []
    harmless = MADE_AGAIN | STAYS
    return sorted(entry.name for entry in home.iterdir() if entry.name not in harmless)

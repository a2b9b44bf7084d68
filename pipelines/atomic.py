"""Writing a file so that readers, and other writers, never meet a part of it."""

import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def written_whole(path: Path) -> Iterator[Path]:
    """A new file or folder beside ``path``, which takes its place if the block ends well.

    Its name belongs to this call alone, so two processes that write the same file cannot mix
    their content. It ends like ``path``'s, as some libraries decide by it what to write.

    Args:
        path: the file to write; an existing one is replaced. Its folder must exist.
    """
    part = _beside(path)
    try:
        yield part
        part.replace(path)
    except BaseException:
        part.unlink(missing_ok=True)
        raise


def write_private(path: Path, text: str) -> None:
    """Write a file that only its owner may read, whole or not at all, power failures included."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with written_whole(path) as part:
        _write_private(part, text.encode())
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def make_private(path: Path, content: bytes) -> None:
    """Make a file that only its owner may read; if two do it at once, the first one's stays."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = _beside(path)
    try:
        _write_private(part, content)
        path.hardlink_to(part)
    except FileExistsError:
        return
    finally:
        part.unlink(missing_ok=True)


def _beside(path: Path) -> Path:
    return path.with_name(f".{secrets.token_hex(8)}.{path.name}")


def _write_private(path: Path, content: bytes) -> None:
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())

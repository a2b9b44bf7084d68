"""Finding the files below a folder, whatever they are called and however they are linked."""

import os
from collections.abc import Iterator
from fnmatch import fnmatchcase
from pathlib import Path

from pipelines.errors import LandingError


def walk(folder: Path, *, ignore: tuple[str, ...] = ()) -> list[str]:
    """Paths of all files below ``folder``, relative to it, with ``/`` between parts, sorted.

    Hidden files and folders (``.name``) are left out, and so is what a pattern in ``ignore``
    matches (``*`` matches across folders: ``masks/**``, ``*.txt``). Links are followed; one
    that leads back to a folder it stands in is not followed round. What is no regular file (a
    broken link, a pipe) is listed: whoever opens it will say why it cannot be used.

    Raises:
        LandingError: a folder cannot be read.
    """
    found = _below(folder, "", ())
    return sorted(path for path in found if not any(fnmatchcase(path, p) for p in ignore))


def _below(folder: Path, prefix: str, above: tuple[tuple[int, int], ...]) -> Iterator[str]:
    try:
        status = folder.stat()
        names = sorted(os.listdir(folder))  # noqa: PTH208 (names only: half the time)
    except OSError as error:
        raise LandingError(
            f"The folder {folder} cannot be read ({error.strerror}). Correct its permissions."
        ) from error
    this = (status.st_dev, status.st_ino)
    if this in above:
        return
    for name in names:
        if name.startswith("."):
            continue
        path = folder / name
        if path.is_dir():
            yield from _below(path, f"{prefix}{name}/", (*above, this))
        else:
            yield f"{prefix}{name}"


def printable(path: str) -> str:
    """``path`` in letters that every file format can hold.

    File names that are no UTF-8 come from the operating system with placeholders; these are
    written out (``caf\\xe9.png``).
    """
    return os.fsencode(path).decode("utf-8", "backslashreplace")

"""Paths that come from outside (a manifest, an archive, an index) and must stay in their folder."""

from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import Annotated

from pydantic import AfterValidator

from pipelines.errors import PathRefused


def require_inside(path: str) -> str:
    """Return a relative path that cannot lead out of the folder it is joined to.

    Raises:
        ValueError: it is empty or absolute, has a part ``.`` or ``..``, or a character that
            separates folders on another system.
    """
    parts = path.split("/")
    windows = PureWindowsPath(path)
    if (
        not path
        or PurePosixPath(path).is_absolute()
        or windows.drive
        or "\\" in path
        or "\0" in path
        or any(part in ("", ".", "..") for part in parts)
    ):
        raise ValueError(
            f"{path!r} is not a path inside a folder: expected names joined by '/', without '..', "
            "'\\' or a leading '/'"
        )
    return path


def path_inside(folder: Path, path: str) -> Path:
    """The place of ``path`` below ``folder``, where no link leads elsewhere.

    Raises:
        PathRefused: it is not a path inside a folder, or a symbolic link is on the way.
    """
    try:
        place = folder / require_inside(path)
    except ValueError as error:
        raise PathRefused(f"{error}. Nothing was read from or written to it.") from error
    step = folder
    for name in path.split("/"):
        step /= name
        if step.is_symlink():
            raise PathRefused(
                f"{step} is a symbolic link, which could lead out of {folder}. Replace it with the "
                "file or folder itself."
            )
    return place


InsidePath = Annotated[str, AfterValidator(require_inside)]
"""A field of a manifest that names a file below the manifest's folder."""

"""Which backups in a folder belong to this installation, and removing old ones.

Several installations may back up into one folder, and other programs and people may use it too.
So only what a readable manifest, or the note in an unfinished backup, proves to be made by this
installation is deleted, and of it only the files that the manifest lists.
"""

import logging
import os
import secrets
import shutil
from collections.abc import Iterator
from pathlib import Path

from pydantic import BaseModel, ConfigDict, ValidationError

from pipelines.atomic import make_private
from pipelines.backup.manifest import MANIFEST, BackupManifest, read_manifest
from pipelines.errors import BackupError, PathRefused, SettingsError
from pipelines.inside import path_inside
from pipelines.settings import Settings

logger = logging.getLogger(__name__)

PREFIX = "medloop-"
UNFINISHED = "unfinished.json"
"""Notes, in a backup that is being made or removed, whose it is."""


class Owner(BaseModel):
    """An installation; the content of ``installation.json`` and ``unfinished.json``."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    installation: str


def installation_id(settings: Settings) -> str:
    """The ID of this installation, made at first use.

    It is in no backup: a second installation that is filled from a backup must not remove the
    backups of the first.

    Raises:
        SettingsError: its file cannot be read.
    """
    if (known := known_installation(settings)) is not None:
        return known
    path = _path(settings)
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    make_private(path, _note(secrets.token_hex(16)).encode())
    made = known_installation(settings)
    assert made is not None
    return made


def known_installation(settings: Settings) -> str | None:
    """The ID of this installation; ``None`` if it has made no backup yet.

    Raises:
        SettingsError: its file cannot be read.
    """
    path = _path(settings)
    if not path.exists():
        return None
    try:
        return Owner.model_validate_json(path.read_bytes()).installation
    except ValidationError as error:
        raise SettingsError(
            f"{path} does not hold an installation's ID ({error.errors()[0]['msg']}). Delete it: "
            "the next backup makes a new one, and older backups are then yours to delete."
        ) from error


def _path(settings: Settings) -> Path:
    return settings.home / "backups" / "installation.json"


def mark(path: Path, installation: str) -> None:
    """Note in a file which installation something belongs to."""
    path.write_text(_note(installation), encoding="utf-8")


def _note(installation: str) -> str:
    return Owner(installation=installation).model_dump_json() + "\n"


def backups_in(folder: Path) -> list[tuple[Path, BackupManifest]]:
    """The backups in a folder with their manifests, the newest first; nothing else in it."""
    found = []
    for path in _folders(folder, PREFIX):
        try:
            found.append((path, read_manifest(path)))
        except (BackupError, OSError) as error:
            logger.debug("%s is not counted as a backup: %s", path, error)
    return sorted(found, key=lambda one: (one[1].created_at, one[0].name), reverse=True)


def remove_expired(newest: Path, *, installation: str, keep: int) -> None:
    """Remove the oldest backups of an installation.

    Args:
        newest: the backup that was just made; it always stays.
        installation: ID of the one that made it.
        keep: how many stay, ``newest`` included.
    """
    ours = [
        (path, manifest)
        for path, manifest in backups_in(newest.parent)
        if manifest.installation == installation and path != newest
    ]
    for path, manifest in ours[keep - 1 :]:
        logger.info("Removing the old backup %s", path)
        aside = path.with_name(f".{path.name}")
        path.rename(aside)
        _remove(aside, manifest)


def remove_unfinished(folder: Path, *, installation: str) -> None:
    """Remove what killed backups and removals of an installation left in a folder."""
    for path in _folders(folder, f".{PREFIX}"):
        manifest = _manifest_of(path)
        if manifest is not None and manifest.installation == installation:
            _remove(path, manifest)
        elif manifest is None and _owner_of(path) == installation:
            # Only a backup in the making has this note: it made the folder and all in it.
            shutil.rmtree(path)
        else:
            logger.warning(
                "%s stays: nothing in it proves that this installation made it. If it is what an "
                "earlier release left of a backup, delete it.",
                path,
            )


def _remove(folder: Path, manifest: BackupManifest) -> None:
    """Delete a backup's files, its manifest last; a folder with other files gets its name back."""
    for name in manifest.files:
        try:
            path_inside(folder, name).unlink(missing_ok=True)
        except (PathRefused, IsADirectoryError) as error:
            logger.warning("%s stays: %s", folder / name, error)
    foreign = [path for path in _files_of(folder) if path != folder / MANIFEST]
    (folder / MANIFEST).unlink()
    for inner, _, _ in os.walk(folder, topdown=False):
        if not any(Path(inner).iterdir()):
            Path(inner).rmdir()
    if foreign:
        kept = folder.with_name(folder.name.removeprefix("."))
        folder.rename(kept)
        logger.warning(
            "%s was an old backup and is removed, but for %d files that are not part of it, such "
            "as %s.",
            *(kept, len(foreign), foreign[0].relative_to(folder)),
        )


def _folders(folder: Path, prefix: str) -> Iterator[Path]:
    if folder.is_dir():
        for path in sorted(folder.iterdir()):
            if path.name.startswith(prefix) and path.is_dir() and not path.is_symlink():
                yield path


def _files_of(folder: Path) -> Iterator[Path]:
    for inner, _, names in os.walk(folder):
        for name in names:
            yield Path(inner) / name


def _manifest_of(folder: Path) -> BackupManifest | None:
    try:
        return read_manifest(folder)
    except (BackupError, OSError):
        return None


def _owner_of(folder: Path) -> str | None:
    try:
        return Owner.model_validate_json((folder / UNFINISHED).read_bytes()).installation
    except (OSError, ValidationError):
        return None

"""A backup: one folder, with a manifest that names and hashes every file in it.

    medloop-20261121T162000.123Z/
        backup.json              what this is, and size and sha256 of every other file
        databases/<name>.dump    each database of PostgreSQL (pg_dump, custom format)
        home/…                   the installation's home: artifacts, bundles, tokens, audit log
        store/…                  the store, as far as it was asked for
        datasets/*.yaml          the specs

A folder and not an archive: any file in it can be looked at, compared and copied alone.
"""

import hashlib
import json
from pathlib import Path
from typing import Annotated, Any

from pydantic import AwareDatetime, BaseModel, ConfigDict, StringConstraints, ValidationError

from pipelines.errors import BackupError, PathRefused
from pipelines.inside import InsidePath, path_inside
from pipelines.progress import track

FORMAT_VERSION = 2
READABLE = (1, 2)
"""Format 1 does not name the installation."""
MANIFEST = "backup.json"
DATABASES = "databases"
HOME = "home"
STORE = "store"
DATASETS = "datasets"
DatabaseName = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_-]+$")]
"""It becomes a file name, and part of an SQL statement."""


class BackupFile(BaseModel):
    """One file of a backup."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    bytes: int
    sha256: str


class BackupManifest(BaseModel):
    """What a backup holds."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    format_version: int = FORMAT_VERSION
    medloop: str
    """The release that made it."""
    git_commit: str | None
    installation: str | None = None
    """Which installation made it (`pipelines.backup.ownership`)."""
    created_at: AwareDatetime
    """When its first dump was taken: what was committed before is in it."""
    home: str
    """The home it was taken of."""
    store: str
    """The root of the store it was taken of."""
    databases: dict[DatabaseName, str]
    """Each database, and the release that its tables are of."""
    pictures: bool
    """Whether it holds images, or only what is known of them."""
    partial: tuple[InsidePath, ...] = ()
    """Folders of the store that it holds without their pictures."""
    files: dict[InsidePath, BackupFile]
    digest: str = ""
    """sha256 of all of the above."""

    @property
    def bytes(self) -> int:
        """Size of all files."""
        return sum(file.bytes for file in self.files.values())

    def below(self, folder: str) -> list[str]:
        """Paths below one of the backup's folders, without that folder; sorted."""
        prefix = f"{folder}/"
        return sorted(n.removeprefix(prefix) for n in self.files if n.startswith(prefix))


def write_manifest(folder: Path, manifest: BackupManifest) -> None:
    """Write ``backup.json``, sealed, readable by its owner only."""
    sealed = manifest.model_copy(update={"digest": _seal(manifest.model_dump(mode="json"))})
    path = folder / MANIFEST
    path.touch(mode=0o600)
    path.write_text(sealed.model_dump_json(indent=1) + "\n", encoding="utf-8")


def read_manifest(folder: Path) -> BackupManifest:
    """Read and check ``backup.json`` alone; see `verify` for the files.

    Raises:
        BackupError: it is missing, altered, or a newer Medloop wrote it.
    """
    path = folder / MANIFEST
    try:
        content: Any = json.loads(path.read_bytes())
        version = content["format_version"]
    except OSError as error:
        raise BackupError(
            f"{folder} is not a backup: there is no {MANIFEST} ({error.strerror}). Name a folder "
            "that medloop backup has made (medloop backup list)."
        ) from error
    except (ValueError, TypeError, KeyError) as error:
        raise _damaged(folder, f"{MANIFEST} cannot be read ({error})") from error
    if version not in READABLE:
        raise BackupError(
            f"{folder} is a backup of format {version}, made by Medloop {content.get('medloop')}; "
            f"this Medloop reads formats 1 to {FORMAT_VERSION}. Restore it with the release that "
            "made it."
        )
    try:
        manifest = BackupManifest.model_validate(content)
    except ValidationError as error:
        first = error.errors(include_input=False)[0]
        field = ".".join(str(part) for part in first["loc"])
        raise _damaged(folder, f"{MANIFEST}: {field}: {first['msg']}") from error
    if manifest.digest != _seal(content):
        raise _damaged(folder, f"{MANIFEST} was altered (its digest differs)")
    return manifest


def verify(folder: Path) -> BackupManifest:
    """Check every file of a backup against its manifest.

    Raises:
        BackupError: a file is missing or is not the one that was written; the message names it.
    """
    manifest = read_manifest(folder)
    for name, file in track(manifest.files.items(), total=len(manifest.files), what="Verifying"):
        try:
            path = path_inside(folder, name)
        except PathRefused as error:
            raise _damaged(folder, str(error)) from error
        if not path.is_file():
            raise _damaged(folder, f"{name} is missing")
        if path.stat().st_size != file.bytes:
            raise _damaged(folder, f"{name} has {path.stat().st_size} bytes, not {file.bytes}")
        with path.open("rb") as opened:
            if hashlib.file_digest(opened, "sha256").hexdigest() != file.sha256:
                raise _damaged(folder, f"{name} is not the file that was written (sha256 differs)")
    return manifest


def _seal(content: dict[str, Any]) -> str:
    text = json.dumps(content | {"digest": ""}, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()


def _damaged(folder: Path, what: str) -> BackupError:
    return BackupError(
        f"The backup {folder} is damaged: {what}. Nothing was changed. Take another backup "
        "(medloop backup list), or a copy of this one."
    )

"""Bringing an installation back from a backup.

All of it is put into a new home beside the old one, by a PostgreSQL and an HDFS that run there
for that time. Only when everything is in its place does the new home take the old one's: until
then a failure leaves the old state as it was.
"""

import logging
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import quote, unquote, urlsplit

from pipelines import database, layout
from pipelines.backup import put_back
from pipelines.backup.contents import MADE_AGAIN, STAYS, holds_state
from pipelines.backup.manifest import BackupManifest, verify
from pipelines.errors import BackupError
from pipelines.settings import Settings
from pipelines.storage import open_store
from pipelines.storage.local import LocalStore
from stack.control import down, up
from stack.status import status

logger = logging.getLogger(__name__)

MARK = "restoring"
"""A file in a home that a restore is filling: it may be deleted."""


@dataclass(frozen=True)
class Restored:
    """What a restore has done, and what is left to a person."""

    manifest: BackupManifest
    aside: Path | None
    """Where the home that stood before is now."""
    lacking: list[str]
    """Folders of the store that were backed up without their pictures, and do not stand."""
    differing: list[str]
    """Specs that differ from the backup's and were left as they are."""
    running: bool
    """Whether the stack runs, as it did before."""


def require_empty(settings: Settings) -> None:
    """Refuse to restore over an installation that has state.

    Raises:
        BackupError: it has; the message names some.
    """
    if found := holds_state(settings.home):
        raise BackupError(
            f"{settings.home} is not empty (it holds {', '.join(found[:5])}). Name an empty home "
            "(MEDLOOP_HOME), or let this one be moved aside: --force."
        )


def restore(settings: Settings, backup: Path) -> Restored:
    """Bring back what a backup holds; a home that has state already is moved aside.

    The stack is stopped for it, and started again if it ran.

    Args:
        settings: the installation.
        backup: the backup's folder.

    Raises:
        BackupError: the backup is damaged or newer, or a part of it did not arrive.
        LayoutError: the home or the store in it was written by a newer Medloop.
        StackError: a part that is needed for it does not start, or refuses what it is given.
        StoreUnavailable: a store outside of the installation does not answer.
    """
    manifest = verify(backup)
    if settings.database_host is not None:
        return _into_containers(settings, backup, manifest)
    home = settings.home.resolve()
    _require_movable(home, backup.resolve())
    ran = any(part.state in ("ready", "starting") for part in status(settings))
    down(settings)
    try:
        fresh = _beside(settings, home)
        _make_room(fresh)
        try:
            lacking = _fill(fresh, backup, manifest)
            aside = _exchange(home, fresh.home)
        finally:
            shutil.rmtree(fresh.home, ignore_errors=True)
        differing = put_back.put_back_specs(settings.datasets, backup, manifest)
    finally:
        if ran:
            up(settings)
    return Restored(manifest, aside=aside, lacking=lacking, differing=differing, running=ran)


def _into_containers(settings: Settings, backup: Path, manifest: BackupManifest) -> Restored:
    """Fill new volumes, which nothing can be moved aside in. PostgreSQL and HDFS must run, and no
    other container.

    Raises:
        BackupError: there is state in them already.
    """
    require_empty(settings)
    if found := database.names(settings):
        raise BackupError(
            f"PostgreSQL has the databases {' and '.join(found)}. Expected new volumes: see "
            "docs/containers.md."
        )
    lacking = _fill(settings, backup, manifest)
    differing = put_back.put_back_specs(settings.datasets, backup, manifest)
    return Restored(manifest, aside=None, lacking=lacking, differing=differing, running=False)


def _make_room(fresh: Settings) -> None:
    """Make the folder that is filled; what a killed restore left there is ended and removed."""
    if fresh.home.exists():
        if not (fresh.home / MARK).is_file():
            raise BackupError(
                f"{fresh.home} exists, and no unfinished restore made it. It may be a whole home: "
                "rename it, or move it away, and restore again."
            )
        down(fresh)  # its servers may still run
        shutil.rmtree(fresh.home)
    fresh.home.mkdir(mode=0o700, parents=True)
    (fresh.home / MARK).touch()


def _require_movable(home: Path, backup: Path) -> None:
    if home.is_mount():
        raise BackupError(
            f"{home} is a mount point, which cannot be moved aside. Set MEDLOOP_HOME to a folder "
            "below it, and restore into that."
        )
    stays = any(backup.is_relative_to(home / name) for name in STAYS)
    if backup.is_relative_to(home) and not stays:
        raise BackupError(
            f"{backup} lies in the home that is to be replaced. Move it elsewhere, and name it "
            "there."
        )


def _beside(settings: Settings, home: Path) -> Settings:
    """The settings of the home that is being filled; a store that lies in the home moves along."""
    beside = home.with_name(f".{home.name}.restoring")
    fields: dict[str, object] = {"home": beside}
    root = urlsplit(settings.store_root)
    if root.scheme == "file" and Path(unquote(root.path)).is_relative_to(settings.home):
        inside = Path(unquote(root.path)).relative_to(settings.home)
        fields["store"] = f"file://{quote(str(beside / inside))}"
    return settings.model_copy(update=fields)


def _fill(fresh: Settings, backup: Path, manifest: BackupManifest) -> list[str]:
    put_back.put_back_home(fresh.home, backup, manifest)
    layout.HOME.require(LocalStore(fresh.home))
    needed = [
        *(["postgres"] if manifest.databases and fresh.database_host is None else []),
        *(["hdfs"] if _keeps_store(fresh) else []),
    ]
    with _running(fresh, needed):
        if manifest.databases:
            put_back.put_back_databases(fresh, backup, manifest)
        return put_back.put_back_store(open_store(fresh), backup, manifest)


def _keeps_store(settings: Settings) -> bool:
    """Whether the store is in the stack's own HDFS."""
    root = urlsplit(settings.store_root)
    return root.scheme == "hdfs" and root.netloc == f"{settings.host}:{settings.namenode_rpc_port}"


@contextmanager
def _running(settings: Settings, parts: list[str]) -> Iterator[None]:
    """The parts that take in what is put back, for as long as the block lasts."""
    if not parts:
        yield
        return
    try:
        up(settings, parts)
        yield
    finally:
        down(settings)


def _exchange(home: Path, fresh: Path) -> Path | None:
    """Put the fresh home in the old one's place, and what `STAYS` into it."""
    for name in ("run", "supervisor"):  # they name the place it was filled at
        shutil.rmtree(fresh / name, ignore_errors=True)
    (fresh / MARK).unlink()
    if not home.exists():
        fresh.rename(home)
        return None
    had_state = bool(holds_state(home))
    aside = home.with_name(f"{home.name}.before-{datetime.now(UTC):%Y%m%dT%H%M%SZ}")
    home.rename(aside)
    fresh.rename(home)
    for name in sorted(STAYS):
        if (aside / name).exists():
            shutil.rmtree(home / name, ignore_errors=True)
            (aside / name).rename(home / name)
    return aside if had_state or not _cleared(aside) else None


def _cleared(aside: Path) -> bool:
    """Delete a home without state: what the next run makes again, and the folder if it is empty
    then."""
    for name in MADE_AGAIN:
        path = aside / name
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)
    try:
        aside.rmdir()
    except OSError:
        return False
    return True

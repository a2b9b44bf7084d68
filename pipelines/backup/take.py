"""Taking a backup of an installation while it runs.

The order makes it consistent: Airflow's database is dumped first, then MLflow's, then the files
are copied. A database only ever names what stands already (artifacts before their run ends, a
folder of the store before the task that made it ends, an MLflow run before the Airflow task that
logs to it ends), and none of these files is changed afterwards. So whatever a dump names is in
the backup, and what is newer in the files is named by nobody.
"""

import logging
import os
import resource
import shutil
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from urllib.parse import unquote, urlsplit

from pipelines import database, layout
from pipelines.backup.contents import folder_of, home_folders, is_picture, needs_originals
from pipelines.backup.copying import TRIES, Copies
from pipelines.backup.manifest import (
    DATABASES,
    DATASETS,
    HOME,
    STORE,
    BackupManifest,
    read_manifest,
    write_manifest,
)
from pipelines.backup.ownership import (
    PREFIX,
    UNFINISHED,
    installation_id,
    mark,
    remove_expired,
    remove_unfinished,
)
from pipelines.backup.state import BackupState, read_state, write_state
from pipelines.errors import BackupError, MedloopError, NotFound, Unavailable
from pipelines.locks import locked_if_free
from pipelines.progress import track
from pipelines.provenance import git_commit
from pipelines.retention.turn import turn
from pipelines.settings import Settings
from pipelines.storage import Store, open_store
from pipelines.storage.base import LOG
from pipelines.storage.local import LocalStore

logger = logging.getLogger(__name__)

PAUSE = 0.5
"""Seconds after which a store that has changed is looked at again."""
AT_ONCE = 8
"""Files that are fetched from the store at the same time: each costs HDFS some 50 ms."""


def run(settings: Settings, *, to: Path | None = None, pictures: bool, keep: int) -> Path:
    """Take a backup, and remove the oldest ones of this installation beyond those to keep.

    It appears whole or not at all; how it went is noted for those who watch.

    Args:
        settings: the installation; its PostgreSQL and its store must answer.
        to: the folder backups go to; the installation's own if ``None``.
        pictures: whether images of the store are taken along, originals and prepared ones.
        keep: how many backups of this installation stay in that folder, this one included.

    Returns:
        The backup's folder.

    Raises:
        Unavailable: PostgreSQL or the store does not answer.
        LayoutError: a newer Medloop has written the home or the store.
        BackupError: another backup is being written there, there is no room, or the folder cannot
            be written.
    """
    began, clock = datetime.now(UTC), time.monotonic()
    try:
        to = to or settings.backups
        to.mkdir(mode=0o700, parents=True, exist_ok=True)
        installation = installation_id(settings)
        with _alone(to, installation):
            remove_unfinished(to, installation=installation)
            with turn(settings):  # a folder that prune removes meanwhile would be copied in part
                folder = _take(
                    settings, to, installation=installation, began=began, pictures=pictures
                )
            size, seconds = read_manifest(folder).bytes, time.monotonic() - clock
            done = BackupState(succeeded_at=began, path=folder, bytes=size, seconds=seconds)
            write_state(settings, done)
            remove_expired(folder, installation=installation, keep=keep)
    except (MedloopError, OSError) as error:
        failed = {"failed_at": datetime.now(UTC), "error": f"{type(error).__name__}: {error}"}
        write_state(settings, read_state(settings).model_copy(update=failed))
        if isinstance(error, OSError):
            raise BackupError(f"The backup could not be written: {error}") from error
        raise
    return folder


def _take(
    settings: Settings, to: Path, *, installation: str, began: datetime, pictures: bool
) -> Path:
    folder = to / f"{PREFIX}{began:%Y%m%dT%H%M%S}.{began.microsecond // 1000:03}Z"
    with _many_files(), _beside(folder, installation) as copies:
        layout.HOME.require(LocalStore(settings.home))
        store = open_store(settings)
        store.require_layout()
        databases = _dump(settings, copies)
        _copy_home(settings, copies)
        _copy_specs(settings, copies)
        partial = _copy_store(store, copies, pictures=pictures)
        manifest = BackupManifest(
            medloop=version("medloop"),
            git_commit=git_commit(),
            installation=installation,
            created_at=began,
            home=str(settings.home),
            store=store.root,
            databases=databases,
            pictures=pictures,
            partial=partial,
            files=copies.files,
        )
        write_manifest(copies.folder, manifest)
    return folder


def _dump(settings: Settings, copies: Copies) -> dict[str, str]:
    # Those of an installation whose databases are elsewhere are backed up there.
    stand = database.names(settings) if database.stands(settings) else []
    names = sorted(stand)  # Airflow before MLflow: see the module
    for name in track(names, total=len(names), what="Dumping databases"):
        dump = f"{DATABASES}/{name}.dump"
        path = copies.place(dump)
        database.ask(settings, "pg_dump", ["-Fc", "-d", name, "-f", str(path)])
        copies.note(dump)
    return {name: database.release(settings, name) for name in names}


def _copy_home(settings: Settings, copies: Copies) -> None:
    without = _taken_otherwise(settings) | {copies.folder.parent}
    folders = list(home_folders(settings.home, without=without))
    for folder in track(folders, total=len(folders), what="Copying the home"):
        inside = folder.relative_to(settings.home)
        copies.add_folder(
            (HOME / inside).as_posix(), folder, without={settings.home / "stack.lock"}
        )


def _taken_otherwise(settings: Settings) -> set[Path]:
    """Folders that may lie in the home, by the installation's settings."""
    root = urlsplit(settings.store_root)
    local = {Path(unquote(root.path))} if root.scheme == "file" else set()
    return local | {settings.datasets, settings.backups, settings.jars}


def _copy_specs(settings: Settings, copies: Copies) -> None:
    for spec in sorted(settings.datasets.glob("*.yaml")):
        with spec.open("rb") as file:
            copies.add(f"{DATASETS}/{spec.name}", file)


def _copy_store(store: Store, copies: Copies, *, pictures: bool) -> tuple[str, ...]:
    """Copy what stands in the store; the folders of which pictures were left out.

    What was merged into another file, or removed, between the look and the copy is looked for
    again, so that what took its place is in the backup.

    Raises:
        Unavailable: files come and go faster than they can be copied.
    """
    for _ in range(TRIES):
        found = _found(store)
        wanted = [path for path in found if pictures or not is_picture(path)]
        if _fetch(store, copies, wanted):
            return _partial(found, set(found) - set(wanted))
        time.sleep(PAUSE)
    raise Unavailable(f"{store.root} changes faster than it can be copied; try again.")


def _found(store: Store) -> list[str]:
    """The files of the store. What a log of a table names is among them, as it was written before:
    files of tables, and packs, are looked for once more after the logs."""
    found = dict.fromkeys(store.walk())
    for dataset in store.names(""):
        for folder in ("packs", "tables"):
            later = store.walk(f"{dataset}/{folder}")
            found |= dict.fromkeys(path for path in later if f"/{LOG}/" not in path)
    return list(found)


def _partial(found: list[str], left_out: set[str]) -> tuple[str, ...]:
    """Folders that a restore leaves out, as they are of no use without what was left out."""
    folders = {folder_of(path) for path in left_out}
    without = {path.partition("/")[0] for path in left_out if path.split("/")[1:2] == ["packs"]}
    rows = [path for path in found if needs_originals(path)]
    folders |= {folder_of(path) for path in rows if path.partition("/")[0] in without}
    return tuple(sorted(folders))


def _fetch(store: Store, copies: Copies, wanted: list[str]) -> bool:
    """Copy files that were not copied yet; whether all of them were there."""

    def fetch(path: str) -> bool:
        try:
            with store.open(path) as file:
                copies.add(f"{STORE}/{path}", file)
        except NotFound:
            return False
        return True

    lacking = [path for path in wanted if f"{STORE}/{path}" not in copies.files]
    with ThreadPoolExecutor(AT_ONCE) as threads:
        done = threads.map(fetch, lacking)
        return all(list(track(done, total=len(lacking), what="Copying the store")))


@contextmanager
def _beside(folder: Path, installation: str) -> Iterator[Copies]:
    """A backup in the making; renamed to its place if the block ends without an error."""
    copies = Copies(folder.with_name(f".{folder.name}"))
    try:
        mark(copies.folder / UNFINISHED, installation)
        yield copies
        (copies.folder / UNFINISHED).unlink()
        os.sync()  # whole on the disk too, before it is called so
        copies.folder.rename(folder)
    finally:
        shutil.rmtree(copies.folder, ignore_errors=True)


@contextmanager
def _many_files() -> Iterator[None]:
    """Let as many files be open as the system allows: all those of a folder are, at once."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


@contextmanager
def _alone(folder: Path, installation: str) -> Iterator[None]:
    """One backup of an installation at a time."""
    with locked_if_free(folder / f".{PREFIX}{installation}.lock") as is_held:
        if not is_held:
            raise BackupError(f"Another backup is being written to {folder}.")
        yield

"""Putting what a backup holds into an installation that has nothing yet."""

import logging
import shutil
from concurrent.futures import ThreadPoolExecutor
from itertools import groupby
from pathlib import Path

from pipelines import database, layout
from pipelines.backup.contents import folder_of, is_table
from pipelines.backup.manifest import DATABASES, DATASETS, HOME, STORE, BackupManifest
from pipelines.backup.take import AT_ONCE
from pipelines.errors import BackupError
from pipelines.progress import track
from pipelines.settings import Settings
from pipelines.storage import Store
from pipelines.storage.base import LOG
from pipelines.storage.local import LocalStore

logger = logging.getLogger(__name__)


def put_back_databases(settings: Settings, backup: Path, manifest: BackupManifest) -> None:
    """Fill the databases of a fresh server; each wholly or not at all.

    Raises:
        DatabaseUnavailable: the server does not answer.
        StackError: it refuses a dump; the message says why.
    """
    stand = database.names(settings)
    for name, release in track(
        manifest.databases.items(), total=len(manifest.databases), what="Filling databases"
    ):
        if name not in stand:
            database.query(settings, f'CREATE DATABASE "{name}"')
        how = ["--exit-on-error", "--single-transaction", "--no-owner", "-d", name]
        database.ask(settings, "pg_restore", [*how, str(backup / DATABASES / f"{name}.dump")])
        if release:
            database.note_release(settings, name, release)


def put_back_home(home: Path, backup: Path, manifest: BackupManifest) -> None:
    """Copy the files of a home; each is for its owner only."""
    inside = manifest.below(HOME)
    for path in track(inside, total=len(inside), what="Copying the home"):
        target = home / path
        target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        shutil.copyfile(backup / HOME / path, target)
        target.chmod(0o600)


def put_back_store(store: Store, backup: Path, manifest: BackupManifest) -> list[str]:
    """Upload what the store lacks; a folder appears whole or not at all.

    A folder that was backed up without its pictures stays out: with its manifest in place it
    would count as whole. Landing the same images again makes it again, under the same name.

    Returns:
        The folders that were left out and do not stand.

    Raises:
        BackupError: a file arrived with another size.
        StoreUnavailable: the store does not answer.
    """
    files = manifest.below(STORE)
    folders = {
        folder: list(paths)
        for folder, paths in groupby(sorted(files, key=folder_of), key=folder_of)
        if folder not in manifest.partial
    }
    for folder, paths in track(folders.items(), total=len(folders), what="Filling the store"):
        if is_table(folder):
            _upload_table(store, backup / STORE, paths)
        else:
            _upload(store, backup / STORE, folder, paths)
    # The store got the present layout before anything was in it.
    layout.STORE.migrate(store, since=layout.read_stamp(LocalStore(backup / STORE)).version)
    return [folder for folder in manifest.partial if not store.exists(folder)]


def _upload_table(store: Store, source: Path, paths: list[str]) -> None:
    """Upload what a table lacks: its log last, in order, so that it names only what is there."""
    for path in sorted(paths, key=lambda path: (f"/{LOG}/" in path, path)):
        if not store.exists(path):
            _send(store, source / path, path)


def _send(store: Store, file: Path, path: str) -> None:
    store.upload(file, path)
    if store.size(path) != file.stat().st_size:
        raise BackupError(f"{store.uri(path)} did not arrive whole. Try again.")


def _upload(store: Store, source: Path, folder: str, paths: list[str]) -> None:
    if not folder:
        for path in paths:
            if not store.exists(path):
                store.upload(source / path, path)
        return
    if store.exists(folder):
        lacking = [path for path in paths if not store.exists(path)]
        for path in lacking:
            store.place(path, (source / path).read_bytes())
        return

    def send(path: str) -> None:
        _send(store, source / path, f"{staging}/{path.removeprefix(f'{folder}/')}")

    with store.commit(folder) as staging, ThreadPoolExecutor(AT_ONCE) as threads:
        list(threads.map(send, paths))


def put_back_specs(datasets: Path, backup: Path, manifest: BackupManifest) -> list[str]:
    """Copy the specs that are not there.

    Returns:
        Names of those that are there with another content; they stay as they are.
    """
    datasets.mkdir(parents=True, exist_ok=True)
    differing = []
    for name in manifest.below(DATASETS):
        kept, target = backup / DATASETS / name, datasets / name
        if not target.exists():
            shutil.copyfile(kept, target)
        elif target.read_bytes() != kept.read_bytes():
            differing.append(name)
    return differing

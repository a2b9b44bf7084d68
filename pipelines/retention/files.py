"""Files of the home that are made again, or that nobody works on: cache, logs, unfinished work."""

import logging
import os
import re
import secrets
import shutil
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from functools import partial
from pathlib import Path

from pipelines.locks import locked_if_free
from pipelines.retention.item import Item, Kind
from pipelines.settings import Settings

logger = logging.getLogger(__name__)

CACHED = re.compile(
    r"[a-z][a-z0-9_]*/(prepared|features|segmenters|training_sets)/[^/]+/.+"
    r"|models/[0-9a-f]{32}/model\.keras|openvino/[^/]+\.blob|examined/[^/]+\.sqlite|examples/.+"
)
"""Files of the cache, by who writes them: `data.input.cache` and `features`,
`data.prepare.segmenters`, `tracking.keras_models`, OpenVINO, releases before 2026.12,
`loop.data.example`."""
LOGGED = re.compile(r"airflow/.+|yarn/.+|[a-z0-9-]+\.log\.\d+")
"""Logs; those that the parts are writing to (``service.log``) are put aside by size."""
IDENTITY = re.compile(r"[0-9a-f]{16}")
LOCKED = ("training", "segmentation", "studies", "features")
"""Folders of work with a folder for each fingerprint, each with a lock beside it."""
SPARK = re.compile(r"(blockmgr|spark|userFiles)-[0-9a-f-]+")
ASIDE = ".abandoned-"
Remover = Callable[[], bool]


def items(settings: Settings) -> Iterator[Item]:
    """Everything of the kinds ``cache``, ``logs`` and ``work`` in the home."""
    yield from _files(settings, "cache", settings.cache, CACHED)
    yield from _files(settings, "logs", settings.home / "logs", LOGGED)
    yield from work_items(settings)


def regular_files(folder: Path) -> Iterator[os.DirEntry[str]]:
    """Files below a folder; symbolic links are neither listed nor followed."""
    if folder.is_symlink() or not folder.is_dir():
        return
    with os.scandir(folder) as entries:
        for entry in entries:
            if entry.is_dir(follow_symlinks=False):
                yield from regular_files(Path(entry.path))
            elif entry.is_file(follow_symlinks=False):
                yield entry


def bytes_of(folder: Path) -> int:
    """Bytes of all files below a folder."""
    return sum(entry.stat(follow_symlinks=False).st_size for entry in regular_files(folder))


def last_change(folder: Path) -> float:
    """When the newest file or folder in a folder was changed, in seconds since 1970."""
    times = [entry.stat(follow_symlinks=False).st_mtime for entry in regular_files(folder)]
    return max([folder.lstat().st_mtime, *times])


def remove_folder(folder: Path) -> None:
    """Remove a folder that the caller has locked; nobody sees, or goes on with, a part of it."""
    aside = folder.with_name(f"{ASIDE}{secrets.token_hex(8)}")
    logger.info("Removing %s", folder)
    folder.rename(aside)
    shutil.rmtree(aside, ignore_errors=True)


def aside_in(settings: Settings, folder: Path) -> Iterator[Item]:
    """What a removal that was killed has left in a folder."""
    for path in _folders(folder):
        if path.name.startswith(ASIDE):
            yield _item(settings, "work", path, 0.0, partial(_remove_aside, path))


def clear_empty_folders(settings: Settings, *, before: float) -> None:
    """Remove empty folders of the cache and the logs that have not changed since a time."""
    for top in (
        settings.cache,
        settings.home / "logs" / "airflow",
        settings.home / "logs" / "yarn",
    ):
        if top.is_symlink():
            continue
        for folder, _, _ in os.walk(top, topdown=False):
            path = Path(folder)
            if path != top and path.lstat().st_mtime < before and not any(path.iterdir()):
                path.rmdir()


def _files(settings: Settings, kind: Kind, top: Path, known: re.Pattern[str]) -> Iterator[Item]:
    for entry in regular_files(top):
        path = Path(entry.path)
        if known.fullmatch(path.relative_to(top).as_posix()):
            used = _last_use(path)
            yield Item(
                kind,
                f"home:{path.relative_to(settings.home)}",
                used,
                None,
                partial(_size, path),
                partial(_remove_file, path, used),
            )


def _size(path: Path) -> int:
    try:
        return path.lstat().st_size
    except FileNotFoundError:
        return 0


def _last_use(path: Path) -> float:
    """When a file was written or read last; systems note reading once a day, or not at all."""
    stat = path.lstat()
    return max(stat.st_mtime, stat.st_atime)


def _remove_file(path: Path, used: float) -> bool:
    try:
        if path.is_symlink() or _last_use(path) != used:
            return False
        path.unlink()
    except FileNotFoundError:
        return False
    return True


def _folders(folder: Path) -> list[Path]:
    """Folders in a folder; no links."""
    if folder.is_symlink() or not folder.is_dir():
        return []
    return sorted(path for path in folder.iterdir() if path.is_dir() and not path.is_symlink())


def work_items(settings: Settings) -> Iterator[Item]:
    """Unfinished work in the home; what a process is working on is not removed."""
    work = settings.work
    if work.is_symlink():
        return
    for name in LOCKED:
        for path in _folders(work / name):
            if IDENTITY.fullmatch(path.name):
                remove = partial(_remove_idle, path, [path.with_suffix(".lock")])
                yield _item(settings, "work", path, last_change(path), remove)
        yield from _locks(settings, work / name)
    for path in _folders(work / "ingest"):
        remove = partial(_remove_idle, path, [path.with_suffix(".lock")])
        yield _item(settings, "work", path, last_change(path), remove)
    selections = sorted((work / "selection").glob("*.lock"))
    for path in _folders(work / "bundles"):
        if IDENTITY.fullmatch(path.name.strip(".").partition(".")[0]):
            remove = partial(_remove_idle, path, selections)
            yield _item(settings, "work", path, last_change(path), remove)
    for path in _folders(work / "spark"):
        if SPARK.fullmatch(path.name):
            yield _item(settings, "work", path, last_change(path), partial(_remove_idle, path, []))
    for name in (*LOCKED, "ingest", "bundles", "spark"):
        yield from aside_in(settings, work / name)


def _locks(settings: Settings, folder: Path) -> Iterator[Item]:
    """Empty lock files of work that is over."""
    if folder.is_symlink():
        return
    for path in sorted(folder.glob("*.lock")):
        if IDENTITY.fullmatch(path.stem) and not path.with_suffix("").exists():
            remove = partial(_remove_lock, path)
            yield _item(settings, "work", path, path.lstat().st_mtime, remove)


def _item(settings: Settings, kind: Kind, path: Path, used: float, remove: Remover) -> Item:
    place = f"home:{path.relative_to(settings.home)}"
    return Item(kind, place, used, None, partial(bytes_of, path), remove)


def _remove_idle(folder: Path, locks: list[Path]) -> bool:
    """Remove a folder of work, if nobody holds one of the locks."""
    with ExitStack() as held:
        is_idle = all(held.enter_context(locked_if_free(lock)) for lock in locks)
        if not is_idle or folder.is_symlink() or not folder.is_dir():
            return False
        remove_folder(folder)
    return True


def _remove_aside(folder: Path) -> bool:
    shutil.rmtree(folder, ignore_errors=True)
    return not folder.exists()


def _remove_lock(lock: Path) -> bool:
    if lock.is_symlink() or not lock.exists():
        return False
    with locked_if_free(lock) as is_idle:
        if is_idle:
            lock.unlink()
        return is_idle

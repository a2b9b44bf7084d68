"""What the home holds of images, by kind of file.

    cache, unfinished work, copied reports, example overlays    removed: they are made again
    ledger of landed files and other SQLite files               rows removed, the file rewritten
    results and pages of checks that name an image              removed: the next check makes them
    logs, audit log, any other file                             names written over, in place

Not looked into: databases and folders of other programs, landing folders, backups, bundles.
"""

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from pipelines.data.checks.data_docs import DataDocs
from pipelines.erasure import texts
from pipelines.erasure.piece import COPIES, Piece
from pipelines.erasure.traces import Traces
from pipelines.retention import files
from pipelines.settings import Settings

CACHED = ("examples", "prepared", "features", "examined")
"""Folders of the cache that may hold images of any data set, beside the data set's own."""
REPORTS = ("leaks", "images")
"""Pages that commands copy from the store, with pictures in them."""
WITHOUT = frozenset(
    {"postgres", "hdfs", "yarn", "mlflow", "landing", "landed", "backups", "bundles", "models"}
    | {"cache", "work", "run", "erasures", "expectations", "data_docs", "pseudonyms.key"}
)
"""Entries of the home that are looked into otherwise, or not at all."""
SQLITE = (".sqlite", ".db")


@dataclass(frozen=True)
class Home:
    """What the home holds of the images of one erasure.

    Args:
        settings: the installation's.
        dataset: the images'.
        traces: by what the images are known.
    """

    settings: Settings
    dataset: str
    traces: Traces

    def pieces(self) -> Iterator[Piece]:
        """All that has to change."""
        yield from self._cache()
        yield from self._work()
        yield from self._pages()
        yield from self._checks()
        copied = set(self._copied())
        for path in sorted(self._others()):
            if path not in copied and (count := texts.found_in(path, self.traces)):
                change = _forget if path.suffix in SQLITE else texts.blot_out
                remove = partial(change, path, self.traces)
                yield self._piece("logs and notes", path, "names written over", count, remove)

    def _piece(self, what: str, path: Path, how: str, count: int, remove: partial[None]) -> Piece:
        place = f"home:{path.relative_to(self.settings.home)}"
        return Piece(COPIES, what, place, how, count, remove)

    def _cache(self) -> Iterator[Piece]:
        for name in (self.dataset, *CACHED):
            folder = self.settings.cache / name
            if folder.is_dir() and not folder.is_symlink():
                count = sum(1 for _ in files.regular_files(folder))
                remove = partial(files.remove_folder, folder)
                yield self._piece("cache", folder, "files removed", count, remove)
        ledger = self.settings.home / "landed" / f"{self.dataset}.sqlite"
        if ledger.is_file() and (count := _remembered(ledger, self.traces)):
            remove = partial(_forget, ledger, self.traces)
            yield self._piece("ledger of landed files", ledger, "rows removed", count, remove)

    def _work(self) -> Iterator[Piece]:
        """Work of any data set that nobody is doing: its folders do not say whose they are."""
        for item in files.work_items(self.settings):
            folder = self.settings.home / item.path.removeprefix("home:")
            if folder.is_dir():
                remove = partial(_remove_item, item.remove)
                yield self._piece("unfinished work", folder, "folders removed", 1, remove)

    def _pages(self) -> Iterator[Piece]:
        for path in self._copied():
            if path.is_file() and not path.is_symlink():
                yield self._piece("reports", path, "files removed", 1, partial(_unlink, path))

    def _copied(self) -> Iterator[Path]:
        """Pages and overlays that commands leave for a person to look at."""
        for name in REPORTS:
            yield self.settings.home / "reports" / f"{self.dataset}-{name}.html"
        yield self.settings.home / f"{self.dataset}-gradcam.png"

    def _checks(self) -> Iterator[Piece]:
        docs = DataDocs(self.settings.home)
        for folder in sorted((docs.results / self.dataset).glob("*/*")):
            _, pages = docs.folders(folder.relative_to(docs.results).as_posix())
            both = [*files.regular_files(folder), *files.regular_files(pages)]
            count = sum(texts.found_in(Path(entry.path), self.traces) > 0 for entry in both)
            if count:
                suite = f"{self.dataset}.{folder.parent.name}"
                remove = partial(_remove_run, docs, suite, folder.name)
                yield self._piece("pages of data checks", folder, "files removed", count, remove)

    def _others(self) -> Iterator[Path]:
        """Every other file, through no link."""
        for entry in self.settings.home.iterdir():
            if entry.name in WITHOUT or entry.is_symlink() or entry == self._store:
                continue
            if entry.is_file():
                yield entry
            else:
                yield from (Path(found.path) for found in files.regular_files(entry))

    @property
    def _store(self) -> Path:
        """The store's folder, where it is in the home."""
        return Path(self.settings.store_root.removeprefix("file://"))


def _unlink(path: Path) -> None:
    path.unlink(missing_ok=True)


def _remove_item(remove: files.Remover) -> None:
    remove()


def _remove_run(docs: DataDocs, suite: str, run: str) -> None:
    docs.remove(suite, run)
    docs.write_index_page()


def _tables(database: sqlite3.Connection) -> list[str]:
    query = """SELECT name FROM pragma_table_list
        WHERE type = 'table' AND NOT wr AND name NOT LIKE 'sqlite_%'"""
    return [str(name) for (name,) in database.execute(query)]


def _naming(database: sqlite3.Connection, table: str, traces: Traces) -> list[int]:
    """Numbers of the rows of which a text names an image."""
    rows = database.execute(f'SELECT rowid, * FROM "{table}"')
    return [
        int(number)
        for number, *cells in rows
        if any(isinstance(cell, str) and traces.is_in(cell) for cell in cells)
    ]


def _remembered(path: Path, traces: Traces) -> int:
    with closing(sqlite3.connect(path, timeout=60)) as database:
        return sum(len(_naming(database, name, traces)) for name in _tables(database))


def _forget(path: Path, traces: Traces) -> None:
    """Remove the rows of a SQLite file that name an image, and write the file again without the
    pages that they were on."""
    with closing(sqlite3.connect(path, timeout=60)) as database:
        with database:
            for name in _tables(database):
                numbers = [(number,) for number in _naming(database, name, traces)]
                database.executemany(f'DELETE FROM "{name}" WHERE rowid = ?', numbers)
        database.execute("VACUUM")

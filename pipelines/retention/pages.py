"""Results of data checks in the home, and their pages in the Data Docs."""

import re
from collections.abc import Iterator, Mapping
from functools import partial
from pathlib import Path

from pipelines.data.checks.data_docs import DataDocs
from pipelines.errors import PathRefused
from pipelines.retention.files import bytes_of, last_change
from pipelines.retention.item import LINKED, Item
from pipelines.settings import Settings

RUN = re.compile(r"[0-9a-f]{16}")


def items(settings: Settings, dataset: str, pins: Mapping[str, str | None]) -> Iterator[Item]:
    """The results and pages of a data set's checks, run by run.

    Args:
        settings: the installation's.
        dataset: whose checks.
        pins: place of a check's result in the store (``store:…``) → why it stays; its page stays
            for the same reason.
    """
    docs = DataDocs(settings.home)
    for gate in _names(docs.results / dataset):
        for run in _names(docs.results / dataset / gate):
            if not RUN.fullmatch(run):
                continue
            inside = f"{dataset}/{gate}/{run}"
            pin = pins.get(f"store:{dataset}/checks/{gate}/{run}")
            try:
                results, pages = docs.folders(inside)
            except PathRefused:
                results, pages, pin = docs.results / inside, docs.results / inside, LINKED
            used = 0.0 if pin == LINKED else last_change(results)
            size = partial(_bytes, results, pages)
            remove = partial(_remove, docs, f"{dataset}.{gate}", run)
            yield Item("checks", f"home:expectations/{inside}", used, pin, size, remove)


def _names(folder: Path) -> list[str]:
    if folder.is_symlink() or not folder.is_dir():
        return []
    return sorted(path.name for path in folder.iterdir() if path.is_dir())


def _bytes(results: Path, pages: Path) -> int:
    return bytes_of(results) + bytes_of(pages)


def _remove(docs: DataDocs, suite: str, run: str) -> bool:
    try:
        return docs.remove(suite, run)
    except PathRefused:
        return False

"""What the store holds of images, by kind of file.

Parquet                                       rows go; the manifest beside it follows
part of prepared images                       another part takes its place, with its listing
features of a part                            the file goes; it is made again of the other part
Parquet with a column ``content`` (a pack)    rows are emptied: they are addressed by number
JSON, CSV                                     elements and lines that name an image go
HTML drawn from a table that held an image    a note takes its place
profile of prepared images                    the folder goes; it is drawn again when asked for
all else (weights, sums, Gaussians)           stays; the certificate says so
"""

import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from pipelines.data.land.pseudonyms import FOLDER, Pseudonyms
from pipelines.data.rows import Member
from pipelines.documents import html
from pipelines.documents.document import Document, Text
from pipelines.erasure import delta, manifests, parquet, prepared, texts
from pipelines.erasure.journal import Journal
from pipelines.erasure.manifests import folder_of
from pipelines.erasure.piece import COPIES, DERIVED, LISTS, ORIGINALS, RECORDS, Order, Piece
from pipelines.erasure.traces import MASKS, RECORD, Traces
from pipelines.errors import NotFound
from pipelines.spark.parquet import opened
from pipelines.stage import MANIFEST
from pipelines.storage import Store

TITLES = {
    "landings": "records of landings",
    "snapshots": "snapshots",
    "quarantine": "quarantine",
    "packs": "originals",
    "tables": "tables of images",
    "pairs": "near-duplicate pairs",
    "splits": "splits",
    "checks": "results of data checks",
    "prepared": "prepared images",
    "training_sets": "training sets",
    "features": "features",
    "data_profiles": "profiles of the images",
    "profiles": "reference profiles of the monitor",
    "scores": "scores",
    "served": "samples of the service's answers",
    "monitoring": "monitoring",
}
PROFILES = "data_profiles"
FEATURES = "features"


@dataclass
class Stored:
    """What a store holds of the images of one erasure.

    Args:
        store: where to look.
        dataset: whose folder.
        traces: by what the images are known.
        names: this installation's pseudonyms.
        journal: notes which manifests may be wrong; ``None`` where nothing will be changed.
    """

    store: Store
    dataset: str
    traces: Traces
    names: Pseudonyms
    journal: Journal | None
    held: set[str] = field(default_factory=set)
    """Folders with a table that holds one of them."""

    def pieces(self) -> Iterator[Piece]:
        """All that has to change.

        Raises:
            StoreUnavailable: the store does not answer.
        """
        paths = [
            path
            for path in self.store.walk(self.dataset)
            if not path.startswith(f"{self.dataset}/{FOLDER}/")
        ]
        for path in paths:
            if path.endswith(".parquet"):
                yield from self._table(path)
        yield from self._profiles()
        for path in paths:
            if path.endswith(".json"):
                yield from self._text(path, texts.json_without, "elements removed")
            elif path.endswith(".csv"):
                yield from self._text(path, texts.csv_without, "lines removed")
            elif path.endswith(".html"):
                yield from self._page(path)

    def has_held(self, folder: str) -> bool:
        """Whether a folder held one of the images, or is gone so that nobody can tell; after
        `pieces`."""
        return folder in self.held or not self.store.exists(folder)

    def _table(self, path: str) -> Iterator[Piece]:
        if prepared.goes_with_its_part(self.store, path):
            return
        with opened(self.store, path) as file:
            held = parquet.held(file, self.traces)
        if not held:
            return
        self.held.add(folder_of(path))
        if path.split("/")[1] == FEATURES:
            yield self._piece(DERIVED, path, "files removed", 1, partial(self._delete, path))
            return
        if held.rows and path.startswith(f"{self.dataset}/tables/{Member.table}/"):
            folder = f"{self.dataset}/splits"
            self.held |= {f"{folder}/{name}" for name in self.store.names(folder)}
        how = "images emptied" if held.is_pack else "rows removed"
        count = held.rows
        if not held.rows:
            how, count = "clusters renamed", held.names
        order = _order(path, is_pack=held.is_pack)
        yield self._piece(order, path, how, count, partial(self._rewrite, path, held.rows))

    def _piece(self, order: Order, path: str, how: str, count: int, remove: partial[None]) -> Piece:
        what = TITLES.get(path.split("/")[1], path.split("/")[1])
        return Piece(order, what, f"store:{path}", how, count, remove)

    def _rewrite(self, path: str, rows: int) -> None:
        assert self.journal is not None
        if (table := delta.Parts.of(self.store, path)) and not table.is_used(path):
            self.store.delete(path)
            return
        with tempfile.TemporaryDirectory(prefix="medloop-") as folder:
            local = Path(folder) / "table.parquet"
            with opened(self.store, path) as file:
                parquet.rewrite(file, local, self.traces, rename=self._rename)
            if table:
                table.exchange(path, local)
                return
            if prepared.is_part(path):
                prepared.exchange(self.store, path, local, self.traces)
                return
            with self.journal.changing(path, rows):
                self.store.exchange(local, path)
                manifests.amend(self.store, path, manifests.facts_of(local), erased=rows)

    def _rename(self, cluster: str) -> str:
        return self.names.of("cluster", cluster)

    def _profiles(self) -> Iterator[Piece]:
        """Profiles of prepared images that held one of them, or that are gone."""
        for name in self.store.names(f"{self.dataset}/{PROFILES}"):
            path = f"{self.dataset}/{PROFILES}/{name}"
            try:
                images = str(self.store.read_json(f"{path}/{MANIFEST}")["output"]["prepared"])
            except (NotFound, KeyError, ValueError):
                images = ""
            if not images or self.has_held(images):
                yield self._piece(COPIES, path, "folders removed", 1, partial(self._delete, path))

    def _delete(self, path: str) -> None:
        self.store.delete(path)

    def _text(self, path: str, without: texts.Without, how: str) -> Iterator[Piece]:
        content = self.store.read(path)
        if not self.traces.pattern.search(content):
            return
        left, count = without(content, self.traces)
        order = LISTS if path.endswith(".csv") else COPIES
        yield self._piece(order, path, how, count, partial(self.store.overwrite, path, left))

    def _page(self, path: str) -> Iterator[Piece]:
        content, note = self.store.read(path), gone_page().encode()
        is_drawn = folder_of(path) in self.held and f"/{PROFILES}/" not in path
        if content != note and (is_drawn or self.traces.pattern.search(content)):
            replace = partial(self.store.overwrite, path, note)
            yield self._piece(COPIES, path, "pages replaced by a note", 1, replace)


def _order(path: str, *, is_pack: bool) -> Order:
    """What says where an image is goes after its bytes; what says that there is one, at the end."""
    if is_pack:
        return ORIGINALS
    if RECORD.fullmatch(path):
        return RECORDS
    is_list = MASKS.fullmatch(path) or path.split("/")[1] in ("tables", "quarantine")
    return LISTS if is_list else DERIVED


def gone_page() -> str:
    """What takes the place of a page that showed an image."""
    text = (
        "This page showed images of which some were erased, so it was removed. The certificate of "
        "the erasure says more (docs/erasure.md). The figures are in the files beside it."
    )
    return html.page(Document("Removed by an erasure", lead=(Text(text),), sections=()))


def mend(store: Store, traces: Traces, journal: Journal) -> None:
    """Make manifests right that an erasure which was cut short has left behind.

    Raises:
        StoreUnavailable: the store does not answer.
    """
    for path, rows in list(journal.entry.changing.items()):
        if not store.exists(path):
            journal.settled(path)
            continue
        with opened(store, path) as file:
            is_as_before = bool(parquet.held(file, traces))
        if not is_as_before:
            manifests.renew(store, path, erased=rows)
        journal.settled(path)

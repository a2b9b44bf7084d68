"""Decide what goes, remove it, and say what was removed, what stays and why."""

import logging
import re
import time
from collections.abc import Iterable, Iterator
from contextlib import nullcontext
from dataclasses import dataclass

from pydantic import BaseModel, ConfigDict

from pipelines.data.checks.data_docs import DataDocs
from pipelines.release import registry
from pipelines.retention import bundles, files, pages, scheduler, stored
from pipelines.retention.item import DAY, KINDS, Item, Kind, days_of
from pipelines.retention.pins import read_pins
from pipelines.retention.turn import turn
from pipelines.stage import Context

logger = logging.getLogger(__name__)

DATASET = re.compile(r"[a-z][a-z0-9_]*")


class Total(BaseModel):
    """What became of one kind."""

    model_config = ConfigDict(frozen=True)

    kind: Kind
    days: int
    """For which it is kept; 0 for ever."""
    removed: int = 0
    """Folders and files that were removed; in a dry run, that would be."""
    bytes: int = 0
    """Of these."""
    pinned: int = 0
    """Those that stay whatever their age."""
    recent: int = 0
    """Those that are not old enough."""


class Pruned(BaseModel):
    """What a prune did, kind by kind."""

    model_config = ConfigDict(frozen=True)

    totals: tuple[Total, ...]
    notes: tuple[str, ...] = ()
    """What else a person should know."""


@dataclass(frozen=True)
class Fate:
    """What becomes of one item."""

    item: Item
    goes: bool
    """Whether it was removed; in a dry run, would be."""
    bytes: int = 0
    """Of what goes."""


def run(
    context: Context, *, dry_run: bool = False, now: float | None = None
) -> tuple[Pruned, list[Fate]]:
    """Remove what is older than its kind is kept and pinned by nothing.

    Killed at any point, it has removed some of it and the next run goes on; two at once take
    turns. What does not depend on the versions in use goes first, so that a full disk can be
    cleared while MLflow is away.

    Args:
        context: settings and store.
        dry_run: only say what would go.
        now: the time, in seconds since 1970; the clock's if ``None``.

    Raises:
        TrackingUnavailable: MLflow does not answer.
        StoreUnavailable: the store does not answer.
        MedloopError: Airflow's own cleaning failed.
    """
    now = time.time() if now is None else now
    with turn(context.settings):
        fates = [_fate(context, item, now, dry_run) for item in files.items(context.settings)]
        context.store.require_layout()
        for dataset in datasets(context):
            # Nobody promotes a version between the look at its pins and the removal.
            lock = nullcontext() if dry_run else registry.releasing(context, dataset)
            with lock:
                fates += [_fate(context, item, now, dry_run) for item in _items(context, dataset)]
        notes = [] if dry_run else list(_finish(context, now, fates))
    return Pruned(totals=tuple(_totals(context, fates)), notes=tuple(notes)), fates


def datasets(context: Context) -> list[str]:
    """Data sets that the store or the home holds something of."""
    here = context.settings.bundles
    kept = [path.name for path in here.iterdir()] if here.is_dir() else []
    names = {*context.store.names(""), *kept}
    return sorted(name for name in names if DATASET.fullmatch(name))


def _items(context: Context, dataset: str) -> Iterator[Item]:
    pins = read_pins(context, dataset)
    found = list(stored.items(context, dataset, pins))
    checks = {item.path: item.pin for item in found if item.kind == "checks"}
    yield from found
    yield from bundles.items(context, dataset, pins)
    yield from pages.items(context.settings, dataset, checks)


def _fate(context: Context, item: Item, now: float, dry_run: bool) -> Fate:
    if not item.is_due(context.settings, now):
        return Fate(item, goes=False)
    size = item.size()
    goes = dry_run or item.remove()
    if goes and not dry_run:
        logger.info("Removed %s (%d bytes)", item.path, size)
    return Fate(item, goes, size if goes else 0)


def _finish(context: Context, now: float, fates: Iterable[Fate]) -> Iterator[str]:
    settings = context.settings
    docs = DataDocs(settings.home)
    if docs.site.is_dir() and any(one.goes and one.item.kind == "checks" for one in fates):
        docs.write_index_page()
    files.clear_empty_folders(settings, before=now - DAY)
    if days := settings.keep_logs_days:
        yield scheduler.clean(settings, before=now - days * DAY)


def _totals(context: Context, fates: Iterable[Fate]) -> Iterator[Total]:
    by_kind: dict[Kind, list[Fate]] = {kind: [] for kind in KINDS}
    for fate in fates:
        by_kind[fate.item.kind].append(fate)
    for kind, ours in by_kind.items():
        gone = [fate for fate in ours if fate.goes]
        pinned = [fate for fate in ours if fate.item.pin is not None]
        yield Total(
            kind=kind,
            days=days_of(context.settings, kind),
            removed=len(gone),
            bytes=sum(fate.bytes for fate in gone),
            pinned=len(pinned),
            recent=len(ours) - len(gone) - len(pinned),
        )

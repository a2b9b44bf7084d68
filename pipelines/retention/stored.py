"""What the store holds of a data set that may be removed."""

import json
import logging
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, time, timedelta
from functools import partial
from typing import Generic, get_args

from pydantic import BaseModel, ConfigDict, ValidationError

from pipelines.data import revisions
from pipelines.data.rows import Row
from pipelines.data.tables import Table
from pipelines.errors import NotFound
from pipelines.monitoring.served import DAY as DAY_NAME
from pipelines.monitoring.state import state_of
from pipelines.outputs import (
    CheckReport,
    DataProfile,
    Features,
    Gate,
    Landing,
    Prepared,
    PreparedImages,
    Profile,
    Scores,
)
from pipelines.retention import packs
from pipelines.retention.item import LINKED, UNPROVEN, Item, Kind
from pipelines.retention.pins import Pins
from pipelines.stage import MANIFEST, Context, Output, OutputT
from pipelines.storage import Store

logger = logging.getLogger(__name__)

SAMPLES = re.compile(r"(\d{6}|merged)-[0-9a-f]{8}\.parquet")
WINDOW = re.compile(r"(\d{6,})\.parquet")
GATES = get_args(Gate)
STAGED_IN = ("", *(f"checks/{gate}" for gate in GATES), "monitoring/state", "monitoring/labels")


def items(context: Context, dataset: str, pins: Pins) -> Iterator[Item]:
    """Everything of a data set in the store that may be removed, pinned or not.

    Raises:
        StoreUnavailable: the store does not answer.
    """
    store = context.store
    prepared = _outputs(store, dataset, "training_sets", Prepared)
    pinned = _pinned_prepared(context, dataset, pins, prepared.proven)

    def of_images(path: str) -> str | None:
        return pinned.get(path, pins.everything)

    def of_run(run_id: str) -> str | None:
        return pins.runs.get(run_id, pins.everything)

    drawn = _outputs(store, dataset, "data_profiles", DataProfile)
    profiles = _outputs(store, dataset, "profiles", Profile)
    yield from prepared.items("prepared", lambda one: of_images(one.output.path))
    kept = _kept(store, dataset, pins, prepared.proven, pinned)
    yield from _of_parts(store, dataset, "prepared", PreparedImages, kept)
    yield from _of_parts(store, dataset, "features", Features, kept)
    yield from _unlisted(store, dataset)
    yield from packs.unnamed(context, dataset)
    times = {one.path: one.used for one in prepared.proven}
    for found in drawn.proven:
        images = found.output.prepared  # a run that uses these may use what was made of them
        used = max(found.used, times.get(images, 0.0))
        yield replace(found.item(store, "prepared", of_images(images)), used=used)
    for path in drawn.unproven:
        yield _folder(store, "prepared", path, pin=UNPROVEN)
    landings = _outputs(store, dataset, "landings", Landing)
    only_landed = packs.only_landed(context, dataset)
    yield from landings.items("prepared", lambda one: packs.pin_of(context, one.path, only_landed))
    yield from _outputs(store, dataset, "scores", Scores).items("scores", _by_age)
    yield from profiles.items("served", lambda one: of_run(one.output.run_id))
    for gate in GATES:
        results = _outputs(store, dataset, f"checks/{gate}", CheckReport)
        yield from results.items("checks", lambda one: pins.of_inputs(one.inputs))
    yield from _served(store, dataset)
    yield from _windows(store, dataset)
    yield from _staging(store, dataset)


@dataclass(frozen=True)
class Stored(Generic[OutputT]):
    """The output of a stage, proven by a manifest that names its very folder."""

    path: str
    output: OutputT
    used: float
    """When its manifest was written, or a run last used it; see `stage.used`."""
    inputs: tuple[str, ...]
    """Paths of what it was made from, where its manifest lists them."""
    made_from: tuple[tuple[str, str], ...] = ()
    """Of a training set: each snapshot and split that gave it."""

    def item(self, store: Store, kind: Kind, pin: str | None) -> Item:
        """The same as something that may be removed."""
        return _folder(store, kind, self.path, pin=pin, written=self.used)


@dataclass(frozen=True)
class _Outputs(Generic[OutputT]):
    """The outputs of one stage."""

    store: Store
    proven: list[Stored[OutputT]] = field(default_factory=list)
    unproven: list[str] = field(default_factory=list)
    """Paths of folders that stay: no readable manifest proves them."""

    def items(self, kind: Kind, pin: Callable[[Stored[OutputT]], str | None]) -> Iterator[Item]:
        """The same as things that may be removed."""
        for one in self.proven:
            yield one.item(self.store, kind, pin(one))
        for path in self.unproven:
            yield _folder(self.store, kind, path, pin=UNPROVEN)


def _by_age(_: object) -> str | None:
    """No version needs it."""
    return None


class _Manifest(BaseModel):
    model_config = ConfigDict(extra="ignore")

    inputs: list[dict[str, object]] = []
    made_from: tuple[tuple[str, str], ...] = ()


class _Old(Output):
    """Prepared images or features in the layout of releases before 2026.12: nothing reads them."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    path: str


def _outputs(store: Store, dataset: str, name: str, kind: type[OutputT]) -> _Outputs[OutputT]:
    folder, found = f"{dataset}/{name}", _Outputs[OutputT](store)
    for identity in store.names(folder):
        path = f"{folder}/{identity}"
        stored = _stored(store, path, kind)
        if stored is not None and stored.output.dataset == dataset:
            found.proven.append(stored)
        else:
            found.unproven.append(path)
    return found


def _stored(store: Store, path: str, kind: type[OutputT]) -> Stored[OutputT] | None:
    try:
        content = store.read_json(f"{path}/{MANIFEST}")
        output = kind.model_validate(content["output"])
        manifest = _Manifest.model_validate(content)
        used = store.modified(f"{path}/{MANIFEST}")
    except (NotFound, ValidationError, json.JSONDecodeError, KeyError, TypeError):
        return None
    folder = path.rpartition("/")[0]
    if getattr(output, "path", f"{folder}/{output.id}") != path:
        return None
    named = [one[key] for one in manifest.inputs for key in ("path", "split") if key in one]
    return Stored(path, output, used, tuple(str(name) for name in named), manifest.made_from)


def _pinned_prepared(
    context: Context, dataset: str, pins: Pins, found: list[Stored[Prepared]]
) -> dict[str, str]:
    """Path → why training sets stay; the newest snapshot's were used last by today's runs."""
    reasons: dict[str, str] = {}
    for one in found:
        for snapshot, split in one.made_from:
            made = one.output.model_copy(update={"snapshot": snapshot, "split": split})
            if reason := pins.of_prepared(made):
                reasons[one.path] = reason
    newest = revisions.latest(context, dataset)
    current = [one for one in found if newest and newest.path in dict(one.made_from)]
    if current:
        latest = sorted(current, key=lambda one: one.used)[-1]
        reasons.setdefault(latest.path, "the latest of the newest snapshot")
    return reasons


@dataclass(frozen=True)
class _Kept:
    """A folder of prepared images, and all that is made of its parts."""

    pin: str | None
    used: float
    """When a run last used it, or a training set of its images."""
    listings: frozenset[str]
    """Names of the listings; what is made of any other part goes."""


def _kept(
    store: Store,
    dataset: str,
    pins: Pins,
    training_sets: list[Stored[Prepared]],
    pinned: dict[str, str],
) -> dict[str, _Kept]:
    """Path of each folder of prepared images → whether it stays: it does with its training sets."""
    kept = {}
    for one in _outputs(store, dataset, "prepared", PreparedImages).proven:
        listing = [s for s in training_sets if s.output.images == one.path]
        reasons = [pinned[s.path] for s in listing if s.path in pinned]
        kept[one.path] = _Kept(
            reasons[0] if reasons else pins.everything,
            max([one.used, *(s.used for s in listing)]),
            frozenset(store.names(f"{one.path}/listings")),
        )
    return kept


def _of_parts(
    store: Store,
    dataset: str,
    name: str,
    kind: type[PreparedImages] | type[Features],
    kept: dict[str, _Kept],
) -> Iterator[Item]:
    """Folders of prepared images or of features; in those that stay, files of parts that went."""
    found = _outputs(store, dataset, name, kind)
    for one in found.proven:
        images, files = one.path, f"{one.path}/parts"
        if isinstance(one.output, Features):
            images, files = one.output.images, one.path
        folder = kept.get(images, _Kept(None, 0.0, frozenset()))
        used = max(one.used, folder.used)
        yield replace(one.item(store, "prepared", folder.pin), used=used)
        for part in store.names(files):
            if part not in folder.listings and part != MANIFEST:
                path = f"{files}/{part}"
                yield _folder(store, "work", path, pin=None, used=store.modified(path))
    for path in found.unproven:
        old = _stored(store, path, _Old)
        yield (
            old.item(store, "prepared", None)
            if old
            else _folder(store, "prepared", path, pin=UNPROVEN)
        )


def _unlisted(store: Store, dataset: str) -> Iterator[Item]:
    """Files in the folders of tables that are no part of them any more, or never were."""
    for name in store.names(f"{dataset}/tables"):
        folder = f"{dataset}/tables/{name}"
        there = [file for file in store.names(folder) if file.endswith(".parquet")]
        table = Table(store, folder, Row)
        parts = set(table.parts()) if there else set()
        for file in there:
            path = f"{folder}/{file}"
            pin, used = "the table lists it" if file in parts else None, store.modified(path)
            remove = partial(_remove_unlisted, table, file, used)
            yield Item("work", f"store:{path}", used, pin, partial(store.size, path), remove)


def _remove_unlisted(table: Table, file: str, written: float) -> bool:
    """Delete a file of a table's folder, unless it was written again or listed meanwhile."""
    path = f"{table.path}/{file}"
    try:
        if table.store.modified(path) != written or file in table.parts():
            return False
    except NotFound:
        return False
    logger.info("Removing %s", table.store.uri(path))
    table.store.delete(path)
    return True


def _served(store: Store, dataset: str) -> Iterator[Item]:
    """Days of served samples; a day ends at midnight, UTC."""
    for name in store.names(f"{dataset}/served"):
        if not re.fullmatch(DAY_NAME, name):
            continue
        path, day = f"{dataset}/served/{name}", date.fromisoformat(name)
        over = datetime.combine(day + timedelta(days=1), time(), UTC).timestamp()
        foreign = [file for file in store.names(path) if not SAMPLES.fullmatch(file)]
        pin = f"{UNPROVEN}: {foreign[0]}" if foreign else None
        yield _folder(store, "served", path, pin=pin, used=over)


def _windows(store: Store, dataset: str) -> Iterator[Item]:
    """Answers of windows; those that the monitor's state lists stay: labels may still come."""
    folder = f"{dataset}/monitoring/windows"
    names = store.names(folder)
    state = state_of(store, dataset) if names else None
    listed = {window.number for window in state.windows} if state else set()
    for name in names:
        path = f"{folder}/{name}"
        match = WINDOW.fullmatch(name)
        if match is None:
            pin: str | None = UNPROVEN
        else:
            pin = "the monitor's state lists it" if int(match[1]) in listed else None
        yield _folder(store, "served", path, pin=pin, used=store.modified(path))


def _staging(store: Store, dataset: str) -> Iterator[Item]:
    """What writers that are proven dead left; living ones hold a lease."""
    folders = [f"{dataset}/{name}".rstrip("/") for name in STAGED_IN]
    folders += [f"{dataset}/{name}" for name in store.names(dataset)]
    folders += [f"{dataset}/tables/{name}" for name in store.names(f"{dataset}/tables")]
    folders += [f"{dataset}/served/{day}" for day in store.names(f"{dataset}/served")]
    for key in store.names(f"{dataset}/prepared"):
        folders += [f"{dataset}/prepared/{key}/{name}" for name in ("parts", "listings")]
    for folder in dict.fromkeys(folders):
        for path in store.dead_in(folder):
            size = partial(store.bytes_below, path)
            remove = partial(_discard, store, folder, path)
            yield Item("work", f"store:{path}", 0.0, None, size, remove)


def _discard(store: Store, folder: str, path: str) -> bool:
    if store.has_link(path) or path not in store.dead_in(folder):
        return False
    store.discard(path)
    return True


def _folder(
    store: Store,
    kind: Kind,
    path: str,
    *,
    pin: str | None,
    used: float = 0.0,
    written: float | None = None,
) -> Item:
    """A folder or file of the store as an item.

    Args:
        store: where it is.
        kind: its kind.
        path: its path.
        pin: why it stays.
        used: when it was used last, where its manifest does not say.
        written: when its manifest was changed; it is not removed if that is another time by then.
    """
    return Item(
        kind,
        f"store:{path}",
        used if written is None else written,
        LINKED if store.has_link(path) else pin,
        partial(store.bytes_below, path),
        partial(_remove, store, path, written),
    )


def _remove(store: Store, path: str, written: float | None) -> bool:
    """Delete a folder as a whole, unless it was used since it was looked at."""
    try:
        if written is not None and store.modified(f"{path}/{MANIFEST}") != written:
            return False
    except NotFound:
        return False
    if store.has_link(path) or not store.exists(path):
        return False
    logger.info("Removing %s", store.uri(path))
    store.delete(path)
    return True

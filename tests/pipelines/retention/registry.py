"""A data set with outputs of every kind, and a registry that says which versions there are."""

import json
import os
import time
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest

from pipelines.outputs import (
    CheckReport,
    Features,
    Landing,
    Prepared,
    PreparedImages,
    Profile,
    Scores,
    Snapshot,
)
from pipelines.retention.item import DAY
from pipelines.stage import Context, Output, fingerprint
from pipelines.storage.local import LocalStore
from pipelines.tracking import versions
from pipelines.tracking.client import Tracking
from pipelines.tracking.versions import Alias, Registered

NOW = time.time()
NAME = "tiny"


@dataclass
class Registry:
    """What MLflow would answer."""

    known: list[Registered] = field(default_factory=list)
    aliases: dict[Alias, int] = field(default_factory=dict)

    def add(self, version: int, *, made_of: int, **tags: str) -> Registered:
        """A version that was made of a numbered snapshot and split."""
        said = {
            versions.SNAPSHOT_TAG: f"{NAME}/snapshots/{snapshot_id(made_of)}",
            versions.SPLIT_TAG: f"{NAME}/splits/{fingerprint('split', made_of)}",
        }
        one = Registered(NAME, version, run_of(version), "one", "bundles/x", said | tags)
        self.known.append(one)
        return one

    def answer(self, patch: pytest.MonkeyPatch) -> None:
        """Let `pipelines.tracking` ask this registry."""

        def holder(_: Tracking, dataset: str, alias: Alias) -> Registered | None:
            version = self.aliases.get(alias) if dataset == NAME else None
            return next((one for one in self.known if one.version == version), None)

        def every(_: Tracking, dataset: str) -> list[Registered]:
            return self.known if dataset == NAME else []

        patch.setattr(versions, "every", every)
        patch.setattr(versions, "holder", holder)
        patch.setattr(Tracking, "has_artifact", lambda *_: True)


def run_of(version: int) -> str:
    """The run of a version: 32 hexadecimal digits."""
    return fingerprint("run", version) * 2


def snapshot_id(number: int) -> str:
    """The id of a numbered snapshot."""
    return f"{number:04d}-{fingerprint('snapshot', number)}"


def aged(context: Context, path: str, days: float) -> None:
    """Let a file of the store be so old."""
    context.store.set_modified(path, NOW - days * DAY)


def put(context: Context, output: Output, path: str, *, days: float, **said: Any) -> str:
    """The output of a stage as it commits one: a file, and a manifest; so many days old."""
    store = context.store
    with store.commit(path) as staging:
        store.write(f"{staging}/part-0.parquet", b"x" * 1000)
        store.write_json(f"{staging}/manifest.json", {"output": output.model_dump()} | said)
    aged(context, f"{path}/manifest.json", days)
    return path


def prepared(context: Context, number: int, *, days: float) -> Prepared:
    """Prepared images of a numbered snapshot, with features, a landing and a check of them."""
    snapshot, split = snapshot_id(number), fingerprint("split", number)
    one = Prepared(
        dataset=NAME,
        id=fingerprint("prepared", number),
        snapshot=f"{NAME}/snapshots/{snapshot}",
        split=f"{NAME}/splits/{split}",
        path=f"{NAME}/training_sets/{fingerprint('prepared', number)}",
        images=f"{NAME}/prepared/{fingerprint('images', number)}",
        rows={"train": 1, "validation": 1, "test": 1},
    )
    counts: dict[str, Any] = {"images": 3, "added": 1, "parent": None, "quarantine": None}
    whole = Snapshot(dataset=NAME, id=snapshot, path=one.snapshot, **counts)
    put(context, whole, one.snapshot, days=days)
    put(context, one, one.path, days=days, made_from=[[one.snapshot, one.split]])
    images(context, number, days=days)
    path = f"{NAME}/features/{fingerprint('features', number)}"
    drawn = Features(
        dataset=NAME,
        id=fingerprint("features", number),
        images=one.images,
        path=path,
        kind="texture",
        model=None,
    )
    put(context, drawn, path, days=days)
    run = fingerprint("check", number)
    passed: dict[str, Any] = {"passed": True, "expectations": 1, "failed": [], "warnings": []}
    report = CheckReport(dataset=NAME, id=run, gate="prepared", data_docs="", **passed)
    inputs = [one.model_dump()]
    put(context, report, f"{NAME}/checks/prepared/{run}", days=days, inputs=inputs)
    return one


def images(context: Context, number: int, *, days: float) -> str:
    """A folder of prepared images, with one part."""
    identity = fingerprint("images", number)
    path = f"{NAME}/prepared/{identity}"
    one = PreparedImages(dataset=NAME, id=identity, path=path, size=8, versions={})
    put(context, one, path, days=days)
    for name in ("parts", "listings"):
        context.store.write(f"{path}/{name}/aa.parquet", b"x" * 1000)
    return path


def landing(context: Context, *, days: float) -> str:
    """A landing record."""
    path = f"{NAME}/landings/{fingerprint('landing', days)}"
    counts: dict[str, Any] = {"files": 1, "accepted": 1, "quarantined": {}}
    one = Landing(dataset=NAME, id=path.rpartition("/")[2], source="s", path=path, **counts)
    return put(context, one, path, days=days)


def scores(context: Context, *, days: float) -> str:
    """Results of batch scoring."""
    path = f"{NAME}/scores/{fingerprint('scores', days)}"
    counts: dict[str, Any] = {"images": 1, "predicted": {}, "abstained": 0, "review": 0}
    one = Scores(
        dataset=NAME,
        id=path.rpartition("/")[2],
        path=path,
        snapshot=None,
        source="s",
        version=1,
        run_id="r",
        unreadable={},
        seconds=1.0,
        **counts,
    )
    return put(context, one, path, days=days)


def profile(context: Context, version: int, *, days: float) -> str:
    """The reference profile of a version."""
    path = f"{NAME}/profiles/{fingerprint('profile', version)}"
    named: dict[str, Any] = {"run_id": run_of(version), "version": version, "images": 1}
    one = Profile(dataset=NAME, id=path.rpartition("/")[2], path=path, **named)
    return put(context, one, path, days=days)


def served(context: Context, *, days: float) -> str:
    """A day of served samples."""
    day: date = (datetime.fromtimestamp(NOW, UTC) - timedelta(days=days)).date()
    path = f"{NAME}/served/{day}"
    context.store.place(f"{path}/120000-0a1b2c3d.parquet", b"x" * 10)
    return path


def window(context: Context, number: int, *, days: float) -> str:
    """The answers of a window."""
    path = f"{NAME}/monitoring/windows/{number:06d}.parquet"
    context.store.write(path, b"x")
    aged(context, path, days)
    return path


def bundle(context: Context, version: int, *, days: float, **said: Any) -> str:
    """The local copy of a version's bundle, with its card; its path in the home."""
    folder = context.settings.bundles / NAME / f"{version}-{run_of(version)[:8]}"
    folder.mkdir(parents=True)
    content = {"dataset": NAME, "model_version": version} | said
    (folder / "bundle.json").write_text(json.dumps(content), "utf-8")
    folder.with_name(f"{folder.name}.card.html").write_text("card", "utf-8")
    for path in (folder / "bundle.json", folder):
        os.utime(path, (NOW - days * DAY,) * 2)
    return str(folder.relative_to(context.settings.home))


def home_file(context: Context, name: str, *, days: float) -> str:
    """A file of the home."""
    path = context.settings.home / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"x" * 100)
    os.utime(path, (NOW - days * DAY,) * 2)
    os.utime(path.parent, (NOW - days * DAY,) * 2)
    return name


def all_files(context: Context) -> set[str]:
    """Every file of the store and the home, hidden ones too, but for locks."""
    assert isinstance(context.store, LocalStore)
    tops = {"store": context.store.folder, "home": context.settings.home}
    return {
        f"{name}:{path.relative_to(top)}"
        for name, top in tops.items()
        for path in top.rglob("*")
        if path.is_file() and not path.name.endswith(".lock")
    }

"""A year of daily retrainings: the disk fills without ``medloop prune``, and does not with it.

    python -m benchmarks.retention [--days 365] [--plot docs/images/retention.png]

Each day makes what a retraining, scoring, the service and the monitor leave behind: outputs with
real manifests and names, through the real store and a real MLflow (SQLite), with small contents.
Nothing is trained. Files get the time of their day, and each evening prune runs as of that day.
Without prune there would be what is there, and all that was removed until then.
"""

import argparse
import json
import logging
import os
import sys
import tempfile
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

from pipelines.monitoring.samples import Model, Sample
from pipelines.monitoring.served import write_file
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
from pipelines.release.bundle import MANIFEST as BUNDLE_MANIFEST
from pipelines.retention import prune
from pipelines.retention.files import bytes_of
from pipelines.retention.item import DAY
from pipelines.settings import Settings
from pipelines.stage import MANIFEST, Context, Output, fingerprint, used
from pipelines.storage import open_store
from pipelines.tracking import versions
from pipelines.tracking.client import Tracking, open_tracking

NAME = "phantom"
BEGAN = datetime(2024, 1, 1, tzinfo=UTC).timestamp()
"""In the past, so that a file that was just written is known by its time."""
PROMOTED_EVERY = 3
"""Of the daily challengers, every third passes the gate."""
UPGRADED_EVERY = 60
"""Days between upgrades of a library that decodes: all images are prepared again."""
SETTLED_DAYS = 250
"""From then on, only what is kept for a year still grows: samples, windows, profiles."""
MAY_GROW = 0.05
"""Of the growth without prune."""
KEPT_ON_PURPOSE = ("snapshots", "tables", "splits")


@dataclass(frozen=True)
class Usage:
    """What lies on the disk at the end of a day, in bytes."""

    day: int
    records: int
    """Snapshots and splits, which prune never touches."""
    rest: int
    """All else of the store and the home, MLflow's own files left out."""
    removed: int
    """What prune has removed until then."""

    @property
    def total(self) -> int:
        """All that is there."""
        return self.records + self.rest

    @property
    def unpruned(self) -> int:
        """What would be there without prune."""
        return self.total + self.removed


class Year:
    """One installation, day by day.

    Args:
        folder: an empty folder; home and store are made in it.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        settings = Settings.model_validate(
            {
                "home": folder / "home",
                "datasets": folder / "datasets",
                "store": (folder / "store").as_uri(),
                "mlflow_uri": f"sqlite:///{folder / 'mlflow.db'}",
            }
        )
        (folder / "datasets").mkdir()
        self.context = Context(settings=settings, store=open_store(settings))
        self.tracking: Tracking = open_tracking(settings)
        with self.tracking.reaching() as client:
            place = (folder / "artifacts").as_uri()
            self.experiment = client.create_experiment(NAME, artifact_location=place)
        self._champion: int | None = None
        self._removed = 0

    def live(self, day: int) -> None:
        """What a day leaves behind."""
        began = time.time() - 1
        prepared = self._retrained(day)
        self._released(day, prepared)
        self._answered(day)
        for folder, _, names in os.walk(self.folder):
            for path in (Path(folder), *(Path(folder, name) for name in names)):
                if path.stat().st_mtime >= began:
                    os.utime(path, (BEGAN + day * DAY,) * 2)

    def prune(self, day: int) -> None:
        """Prune in the evening of a day."""
        pruned, _ = prune.run(self.context, now=BEGAN + (day + 0.5) * DAY)
        self._removed += sum(total.bytes for total in pruned.totals)

    def usage(self, day: int) -> Usage:
        """What lies there."""
        store = self.folder / "store"
        records = sum(bytes_of(store / NAME / name) for name in KEPT_ON_PURPOSE)
        rest = bytes_of(store) + bytes_of(self.folder / "home") - records
        return Usage(day, records, rest, self._removed)

    def _retrained(self, day: int) -> Prepared:
        snapshot, split = f"{day + 1:04d}-{fingerprint(day)}", fingerprint("split", day)
        landing, identity = fingerprint("landing", day), fingerprint("prepared", day)
        counts: dict[str, Any] = {"files": 10, "accepted": 10, "quarantined": {}}
        where = f"{NAME}/landings/{landing}"
        self._put(Landing(dataset=NAME, id=landing, source="s", path=where, **counts), 4_000)
        where = f"{NAME}/snapshots/{snapshot}"
        counts = {"images": 10 * day, "added": 10, "parent": None, "quarantine": None}
        self._put(Snapshot(dataset=NAME, id=snapshot, path=where, **counts), 2_000)
        prepared = Prepared(
            dataset=NAME,
            id=identity,
            snapshot=where,
            split=f"{NAME}/splits/{split}",
            path=f"{NAME}/training_sets/{identity}",
            images=self._delivered(day),
            rows={"train": 8, "validation": 1, "test": 1},
        )
        self.context.store.write(f"{prepared.split}/report.html", bytes(1_000))
        made_from = [(prepared.snapshot, prepared.split)]
        self._put(prepared, 4_000, made_from=made_from)
        self._checked(day, prepared)
        home = self.context.settings.home
        _write(home / "cache" / prepared.path / "places.parquet", 4_000)
        _write(home / "cache" / prepared.images / f"{fingerprint('part', day)}.npy", 40_000)
        task = f"dag_id=retrain_{NAME}/run_id=scheduled__{day}/task_id=train/attempt=1.log"
        _write(home / "logs" / "airflow" / task, 6_000)
        _write(home / "work" / "training" / fingerprint("killed", day) / "epoch-1.npz", 5_000)
        return prepared

    def _delivered(self, day: int) -> str:
        """Add the day's images to those that are prepared; path of their folder, another one after
        each upgrade of a library that decodes."""
        store, identity = self.context.store, fingerprint("images", day // UPGRADED_EVERY)
        path = f"{NAME}/prepared/{identity}"
        if not store.exists(path):
            known = PreparedImages(dataset=NAME, id=identity, path=path, size=8, versions={})
            self._put(known, 40_000)
            where = f"{NAME}/features/{identity}"
            drawn: dict[str, Any] = {"kind": "texture", "model": None}
            self._put(Features(dataset=NAME, id=identity, images=path, path=where, **drawn), 8_000)
        used(self.context, path)
        for folder in (f"{path}/parts", f"{path}/listings", f"{NAME}/features/{identity}"):
            store.write(f"{folder}/{fingerprint('part', day)}.parquet", bytes(1_000))
        return path

    def _checked(self, day: int, prepared: Prepared) -> None:
        run, home = fingerprint("check", day), self.context.settings.home
        said: dict[str, Any] = {"passed": True, "expectations": 1, "failed": [], "warnings": []}
        report = CheckReport(dataset=NAME, id=run, gate="prepared", data_docs="", **said)
        path = f"{NAME}/checks/prepared/{run}"
        self._put(report, 3_000, path=path, inputs=[prepared.model_dump()])
        result = {
            "meta": {"run_id": {"run_time": "2026-01-01T00:00:00+00:00", "run_name": run}},
            "statistics": {"successful_expectations": 1, "evaluated_expectations": 1},
            "suite_name": f"{NAME}.prepared",
            "results": [],
        }
        inside = f"{NAME}/prepared/{run}/{day}/rows"
        file = home / "expectations" / f"{inside}.json"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(json.dumps(result), "utf-8")
        _write(home / "data_docs" / "validations" / f"{inside}.html", 5_000)

    def _released(self, day: int, prepared: Prepared) -> None:
        """Register the day's version; every third becomes the champion."""
        with self.tracking.reaching() as client:
            run = str(client.create_run(self.experiment).info.run_id)
        _write(self.context.settings.cache / "models" / run / "model.keras", 20_000)
        manifest: dict[str, Any] = {"dataset": NAME, "model_version": day + 1}
        manifest |= {"snapshot": prepared.snapshot, "split": prepared.split}
        manifest |= {"prepared": prepared.path}
        self.tracking.upload_json(run, f"bundles/x/{BUNDLE_MANIFEST}", manifest)
        tags = {versions.SNAPSHOT_TAG: prepared.snapshot, versions.SPLIT_TAG: prepared.split}
        passed = day % PROMOTED_EVERY == 0
        tags[versions.VERDICT_TAG] = "passed" if passed else "refused"
        tags[versions.COMPARED_TAG] = str(self._champion or versions.NO_CHAMPION)
        if not passed:
            tags[versions.REFUSED_TAG] = "it is worse"
        registered = versions.register(
            self.tracking, NAME, run_id=run, artifact="bundles/x", about="", tags=tags
        )
        folder = f"{registered.version}-{run[:8]}"
        bundle = self.context.settings.bundles / NAME / folder
        bundle.mkdir(parents=True)
        (bundle / BUNDLE_MANIFEST).write_text(json.dumps(manifest), "utf-8")
        _write(bundle / "model.bin", 20_000)
        if passed:
            self._promote(day, registered.version, run)

    def _promote(self, day: int, version: int, run: str) -> None:
        if self._champion is not None:
            versions.set_alias(self.tracking, NAME, "previous", version=self._champion)
        versions.set_alias(self.tracking, NAME, "champion", version=version)
        promoted = datetime.fromtimestamp(BEGAN + day * DAY, UTC).isoformat()
        versions.tag(self.tracking, NAME, version, tags={versions.PROMOTED_TAG: promoted})
        self._champion = version
        identity = fingerprint("profile", version)
        where = f"{NAME}/profiles/{identity}"
        self._put(
            Profile(dataset=NAME, id=identity, path=where, run_id=run, version=version, images=10),
            4_000,
        )

    def _answered(self, day: int) -> None:
        """A day of the service, and of batch scoring."""
        store, identity = self.context.store, fingerprint("scores", day)
        counts: dict[str, Any] = {"images": 10, "predicted": {}, "abstained": 0, "review": 0}
        counts |= {"unreadable": {}, "seconds": 1.0, "snapshot": None, "source": "s"}
        where = f"{NAME}/scores/{identity}"
        self._put(
            Scores(dataset=NAME, id=identity, path=where, version=1, run_id="r", **counts), 5_000
        )
        model = Model(NAME, self._champion, "run", ("a", "b"))
        sample = Sample(
            request_id=f"{day:016x}",
            time=datetime.fromtimestamp(BEGAN + day * DAY, UTC),
            model=model,
            predicted="a",
            abstained=False,
            probabilities=np.array([0.75, 0.25], np.float32),
            features=np.zeros(4, np.float32),
            mean=100.0,
            std=20.0,
            width=60,
            height=40,
            sha256=f"{day:064x}",
        )
        write_file(store, [sample])
        store.write(f"{NAME}/monitoring/windows/{day:06d}.parquet", bytes(1_000))

    def _put(self, output: Output, size: int, *, path: str | None = None, **said: Any) -> None:
        """Commit the output of a stage, with a file of so many bytes."""
        store, path = self.context.store, path or str(getattr(output, "path", ""))
        with store.commit(path) as staging:
            store.write(f"{staging}/part-00000.parquet", bytes(size))
            content = {"output": output.model_dump(mode="json")} | said
            store.write_json(f"{staging}/{MANIFEST}", content)


def _write(path: Path, size: int) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(bytes(size))


def measure(days: int) -> list[Usage]:
    """The disk usage of each day."""
    with tempfile.TemporaryDirectory(prefix="medloop-retention-") as folder:
        year = Year(Path(folder))
        found = []
        for day in range(days):
            year.live(day)
            year.prune(day)
            found.append(year.usage(day))
        return found


def draw(usage: list[Usage], file: Path) -> None:
    """Write the plot as PNG."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8, 4.5), layout="constrained")
    axes = figure.subplots()
    days = [one.day for one in usage]
    axes.plot(days, [one.unpruned / 1e6 for one in usage], label="without prune")
    axes.plot(days, [one.total / 1e6 for one in usage], label="prune each day")
    kept = "of it: snapshots and splits, always kept"
    axes.plot(days, [one.records / 1e6 for one in usage], "--", color="grey", label=kept)
    axes.set(xlabel="days of daily retraining", ylabel="disk usage, MB", ylim=(0, None))
    axes.grid(alpha=0.3)
    axes.legend(frameon=False)
    figure.savefig(file, dpi=120)


def main() -> None:
    """Measure, print and plot; exits 1 if the disk usage with prune is not bounded."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--days", type=int, default=365)
    parser.add_argument("--plot", type=Path, help="write a PNG here")
    options = parser.parse_args()
    logging.getLogger("alembic").setLevel(logging.WARNING)
    usage = measure(options.days)
    print("   day   without prune    with prune   of it always kept   (MB)")
    step = max(1, options.days // 12)
    for one in usage[step - 1 :: step]:
        sums = (one.unpruned, one.total, one.records)
        print(f"{one.day + 1:6d}" + "".join(f"{value / 1e6:14.2f}" for value in sums))
    if options.plot:
        draw(usage, options.plot)
    first, last = usage[-(len(usage) // 4 + 1)], usage[-1]
    grown, unpruned = last.rest - first.rest, last.unpruned - first.unpruned
    print(
        f"In the last quarter of the days, what prune may remove grew by {grown / 1e6:.2f} MB; "
        f"without prune, all grew by {unpruned / 1e6:.2f} MB."
    )
    if options.days >= SETTLED_DAYS and grown > MAY_GROW * unpruned:
        sys.exit("The disk usage is not bounded.")


if __name__ == "__main__":
    main()

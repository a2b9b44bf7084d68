"""A store of layout 1, as the release before wrote it (``stores/layout-1.tar.gz``): three landings
of class folders with copies, a relabelled image, masks, a DICOM file and one with metadata."""

import contextlib
import itertools
import json
import shutil
import tarfile
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from pipelines.backup.manifest import BackupFile, BackupManifest
from pipelines.backup.put_back import put_back_store
from pipelines.data import revisions
from pipelines.data.land import ingest, landing
from pipelines.data.migrate import migrate
from pipelines.data.restore import originals
from pipelines.data.rows import Image, Original
from pipelines.data.tables import Table
from pipelines.layout import STORE, read_stamp
from pipelines.outputs import Snapshot
from pipelines.settings import Settings
from pipelines.stage import Context
from pipelines.storage import open_store
from pipelines.storage.local import LocalStore
from tests.pipelines.data.killed import Steps
from tests.pipelines.data.landing_folders import drawing, png, spec, write
from tests.pipelines.data.recorded import index_of, masks_of

OLD = Path(__file__).parent.parent / "stores" / "layout-1.tar.gz"
SPEC = spec(landing={"masks": "masks/{folder}/{stem}_lesion.png"})
SAME = (
    *("source_path", "sha256", "label", "landing_label", "declared_split", "bytes", "format"),
    *("width", "height", "mode", "bits", "notes", "mean", "std", "traces", "thumbnail", "row"),
)
Row = dict[str, Any]


@pytest.fixture
def old(tmp_path: Path) -> Context:
    """The installation; its store is not opened yet."""
    with tarfile.open(OLD) as archive:
        archive.extractall(tmp_path, filter="data")
    settings = Settings(home=tmp_path / "home", store=(tmp_path / "store").as_uri())
    return Context(settings, open_store(settings))


def snapshots(context: Context) -> list[str]:
    return revisions.in_order(context.store.names("pets/snapshots"))


def listed(context: Context, name: str) -> dict[str, list[Row]]:
    """Id of a snapshot → rows of a file in its folder."""
    folder = Path(context.store.folder) / "pets" / "snapshots"  # type: ignore[attr-defined]
    return {one: pq.read_table(folder / one / name).to_pylist() for one in snapshots(context)}


def as_listed(row: Row) -> Row:
    """A row of layout 1 as the tables have it."""
    metadata = json.loads(row["metadata"])
    landed = metadata.pop("landed_sha256", None)
    renamed = {"patient": row["group"], "pack": row["file"], "metadata": metadata}
    return {name: row[name] for name in SAME} | renamed | {"landed_sha256": landed}


def require_whole(
    context: Context, index: dict[str, list[Row]], masks: dict[str, list[Row]]
) -> None:
    """Check that the tables say what the indexes said, of every snapshot, and nothing else."""
    for identity, rows in index.items():
        snapshot = revisions.require(context, "pets", identity)
        found = index_of(context, snapshot)
        assert [{k: v for k, v in row.items() if k != "facts"} for row in found] == [
            as_listed(row) for row in rows
        ]
        drawn = masks_of(context, snapshot)
        assert drawn == [
            {name: one.get(name, one["file"]) for name in drawn[0]} for one in masks[identity]
        ]
    names = {path.rpartition("/")[2] for path in context.store.walk("pets/snapshots")}
    assert not names & {"index.parquet", "masks.parquet"}
    assert not context.store.exists("pets/snapshot_line")


def test_every_snapshot_holds_what_its_index_listed(old: Context) -> None:
    index, masks = listed(old, "index.parquet"), listed(old, "masks.parquet")
    manifests = {one: old.store.read(f"pets/snapshots/{one}/manifest.json") for one in index}
    newest = revisions.latest(old, "pets")
    assert newest is not None
    assert newest.id == max(index)
    require_whole(old, index, masks)
    assert read_stamp(old.store).version == STORE.version
    for identity, manifest in manifests.items():
        assert old.store.read(f"pets/snapshots/{identity}/manifest.json") == manifest
    assert Table.open(old, "pets", Image).revision() == 3
    assert len(Table.open(old, "pets", Original).arrow(["facts"])) == len(
        {row["sha256"] for rows in index.values() for row in rows}
    ), "each once"
    assert len(list(originals(old, index_of(old, newest)))) == newest.images


def test_what_has_landed_before_is_nothing_new_and_the_rest_is_appended(
    old: Context, tmp_path: Path
) -> None:
    def ingested() -> Snapshot:
        folder = str(tmp_path / "landing")
        return ingest.run(SPEC, old, landing.run(SPEC, old, folder))

    newest = snapshots(old)[-1]
    assert ingested().id == newest
    write(tmp_path / "landing" / "cat" / "new.png", png(drawing(4711)))
    added = ingested()
    assert (added.parent, added.added, added.id[:4]) == (newest, 1, "0004")
    rows = Table.open(old, "pets", Image).arrow(["revision"])["revision"].to_pylist()
    assert rows.count(4) == 1


def test_a_migration_may_be_killed_anywhere_and_repeated(
    old: Context, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    index, masks = listed(old, "index.parquet"), listed(old, "masks.parquet")
    pristine = shutil.copytree(tmp_path / "store", tmp_path / "pristine")
    append, delete = Table.append, LocalStore.delete
    for last in itertools.count():
        store = tmp_path / f"killed-{last}"
        shutil.copytree(pristine, store)
        settings = old.settings.model_copy(update={"store": store.as_uri()})
        context = Context(settings, open_store(settings))
        with monkeypatch.context() as killed:
            steps = Steps(last)
            killed.setattr(Table, "append", steps.counted(append))
            killed.setattr(LocalStore, "delete", steps.counted(delete))
            with contextlib.suppress(KeyboardInterrupt):
                migrate(context.store)
        migrate(context.store)
        require_whole(context, index, masks)
        if steps.done < last:
            break
    assert last > 10


def test_of_two_processes_that_migrate_at_once_each_leaves_the_same(
    old: Context, monkeypatch: pytest.MonkeyPatch
) -> None:
    index, masks = listed(old, "index.parquet"), listed(old, "masks.parquet")
    append = Table.append
    others = iter([LocalStore(old.store.folder)])  # type: ignore[attr-defined]

    def meanwhile(table: Table, rows: Any, **commit: Any) -> None:
        for other in others:
            migrate(other)
        append(table, rows, **commit)

    monkeypatch.setattr(Table, "append", meanwhile)
    migrate(old.store)
    require_whole(old, index, masks)


def test_a_snapshot_that_did_not_get_its_number_goes(old: Context) -> None:
    index, masks = listed(old, "index.parquet"), listed(old, "masks.parquet")
    folder = Path(old.store.folder) / "pets" / "snapshots"  # type: ignore[attr-defined]
    shutil.copytree(folder / snapshots(old)[-1], folder / "0003-00loser")
    require_whole(old, index, masks)
    assert snapshots(old) == list(index)


def test_a_restored_backup_of_the_release_before_is_migrated_when_it_is_whole(
    old: Context, tmp_path: Path
) -> None:
    index, masks = listed(old, "index.parquet"), listed(old, "masks.parquet")
    backup = shutil.copytree(tmp_path / "store", tmp_path / "backup" / "store").parent
    files = {
        str(path.relative_to(backup)): BackupFile(bytes=path.stat().st_size, sha256="")
        for path in backup.rglob("*")
        if path.is_file()
    }
    manifest = BackupManifest(
        medloop="0.1.0",
        git_commit=None,
        installation="",
        created_at=datetime.now(UTC),
        home="",
        store="",
        databases={},
        pictures=True,
        partial=(),
        files=files,
    )
    settings = old.settings.model_copy(update={"store": (tmp_path / "restored").as_uri()})
    restored = Context(settings, open_store(settings))
    for _ in range(2):
        assert put_back_store(restored.store, backup, manifest) == []
        require_whole(restored, index, masks)
    assert read_stamp(restored.store).version == STORE.version

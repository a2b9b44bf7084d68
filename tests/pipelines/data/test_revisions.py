"""Snapshots are revisions of tables: numbers are compared as numbers, and each appears whole."""

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from pipelines.data import revisions
from pipelines.data.land import ingest, landing
from pipelines.data.revisions import at, confirmed, in_order, latest, require, state, state_frame
from pipelines.data.rows import Image
from pipelines.data.tables import Table
from pipelines.errors import NotFound
from pipelines.outputs import Snapshot
from pipelines.stage import Context
from tests.pipelines.data.landing_folders import class_folders, spec
from tests.pipelines.data.recorded import record

if TYPE_CHECKING:
    from pyspark.sql import SparkSession


def snapshot(identity: str, *, images: int = 1) -> Snapshot:
    path = f"pets/snapshots/{identity}"
    return Snapshot(
        dataset="pets", id=identity, path=path, images=images, added=1, parent=None, quarantine=None
    )


def recorded(context: Context, identity: str, **images: str) -> Snapshot:
    """A snapshot of images (sha256 → label)."""
    rows = [{"sha256": sha256, "label": label} for sha256, label in images.items()]
    return record(context, snapshot(identity, images=len(rows)), rows)


def labels(context: Context, of: Snapshot) -> dict[str, str]:
    rows = state(context, of, ["sha256", "label"]).to_pylist()
    return {row["sha256"]: row["label"] for row in rows}


def test_snapshot_10000_comes_after_9999(context: Context, tmp_path: Path) -> None:
    old = recorded(context, "9999-f", a="cat")
    assert latest(context, "pets") == old
    folder = class_folders(tmp_path / "landing")
    new = ingest.run(spec(), context, landing.run(spec(), context, str(folder)))
    assert new.id.startswith("10000-")
    assert latest(context, "pets") == new == require(context, "pets")
    assert in_order(["10000-a", "9999-f", "0002-c"]) == ["0002-c", "9999-f", "10000-a"]


def test_a_snapshot_never_changes_whatever_comes_after_it(context: Context) -> None:
    first = recorded(context, "0001-a", a="cat", b="dog")
    second = recorded(context, "0002-b", a="dog", b="dog", c="cat")
    third = recorded(context, "0003-c", b="dog", c="cat")
    assert labels(context, first) == {"a": "cat", "b": "dog"}
    assert labels(context, second) == {"a": "dog", "b": "dog", "c": "cat"}
    assert labels(context, third) == {"b": "dog", "c": "cat"}, "an image that is gone"
    appended = Table.open(context, "pets", Image).arrow(["sha256", "revision"]).to_pylist()
    assert sorted((row["revision"], row["sha256"]) for row in appended) == [
        *[(1, "a"), (1, "b")],
        *[(2, "a"), (2, "c")],
        *[(3, "a")],
    ], "only what is new or changed"


def test_spark_reads_the_same_state(context: Context, spark: "SparkSession") -> None:
    recorded(context, "0001-a", a="cat", b="dog")
    second = recorded(context, "0002-b", a="dog", c="cat")
    columns = ["sha256", "label", "bytes", "copies"]
    frame = state_frame(spark, context, second, columns)
    rows = sorted((row.asDict() for row in frame.collect()), key=lambda row: str(row["sha256"]))
    assert rows == state(context, second, columns).to_pylist()
    assert [row["label"] for row in rows] == ["dog", "cat"]


def test_whoever_comes_next_writes_the_manifest_of_a_process_that_was_killed(
    context: Context, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = class_folders(tmp_path / "landing")

    def ingested() -> Snapshot:
        return ingest.run(spec(), context, landing.run(spec(), context, str(folder)))

    first = ingested()
    class_folders(folder, per_class=1, first=50)
    with monkeypatch.context() as killed:
        calls = iter([revisions.confirmed])
        killed.setattr(revisions, "confirmed", lambda *arguments: next(calls)(*arguments))
        with pytest.raises(StopIteration):
            ingested()
    assert latest(context, "pets") == first, "nothing is visible yet"
    assert len(labels(context, first)) == 8
    second = ingested()
    assert (second.images, second.added, second.parent) == (10, 2, first.id)
    assert context.store.names("pets/snapshots") == [first.id, second.id]
    assert context.store.read_json(f"{second.path}/manifest.json")["files"][0]["images"] == 2


def test_a_snapshot_that_was_removed_by_hand_comes_back(context: Context, tmp_path: Path) -> None:
    folder = class_folders(tmp_path / "landing")
    made = ingest.run(spec(), context, landing.run(spec(), context, str(folder)))
    context.store.delete(made.path)
    with pytest.raises(NotFound, match=r"does not exist\. Ingest its images again"):
        at(context, made.path)
    assert confirmed(context, "pets") == made == latest(context, "pets")


def test_what_cannot_be_read_is_named(context: Context) -> None:
    lost = recorded(context, "0001-a", a="cat")
    context.store.delete("pets/tables")
    with pytest.raises(NotFound, match="lack snapshot 0001-a"):
        state(context, lost, ["sha256"])
    recorded(context, "0002-b", a="cat")
    context.store.delete("pets/snapshots/0002-b")
    with pytest.raises(
        NotFound, match="2 revisions, but pets/snapshots lacks the manifest of the newest"
    ):
        confirmed(context, "pets")

"""A store of layout 2, as the release before wrote it (``stores/layout-2.tar.gz``): three splits of
two snapshots, two of them with different seeds; copies, a conflict, an image that went."""

import contextlib
import itertools
import shutil
import tarfile
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from pipelines.data import revisions
from pipelines.data.land import ingest, landing
from pipelines.data.rows import Member
from pipelines.data.split import members, split
from pipelines.data.split.migrate import migrate
from pipelines.data.tables import Table
from pipelines.layout import STORE, read_stamp
from pipelines.settings import Settings
from pipelines.stage import Context
from pipelines.storage import open_store
from pipelines.storage.local import LocalStore
from tests.pipelines.data.killed import Steps
from tests.pipelines.data.landing_folders import class_folders, spec
from tests.pipelines.data.recorded import members_of

OLD = Path(__file__).parents[2] / "stores" / "layout-2.tar.gz"
NEWEST = "8fc7b41e3fdac387"
SAID = ("sha256", "source_path", "label", "cluster", "source", "split", "excluded")
Row = dict[str, Any]


@pytest.fixture
def old(tmp_path: Path) -> Context:
    """The installation; its store is not opened yet."""
    with tarfile.open(OLD) as archive:
        archive.extractall(tmp_path, filter="data")
    settings = Settings(home=tmp_path / "home", store=(tmp_path / "store").as_uri())
    return Context(settings, open_store(settings))


def listed(context: Context) -> dict[str, list[Row]]:
    """Store path of a split → the rows of its file."""
    folder = Path(context.store.folder)  # type: ignore[attr-defined]
    found = {}
    for file in sorted(folder.glob("*/splits/*/split.parquet")):
        rows = [row | {"cluster": row["group"]} for row in pq.read_table(file).to_pylist()]
        ordered = sorted(rows, key=lambda row: (row["sha256"], row["source_path"]))
        path = str(file.parent.relative_to(folder))
        found[path] = [{name: row[name] for name in SAID} for row in ordered]
    assert len(found) == 3
    return found


def require_whole(context: Context, expected: dict[str, list[Row]]) -> None:
    for path, rows in expected.items():
        found = members_of(context, path)
        assert [{name: row[name] for name in SAID} for row in found] == rows, path
        assert context.store.names(path) == ["leaks.json", "manifest.json", "report.html"]


def used_for_test(rows: list[Row]) -> set[str]:
    return {row["sha256"] for row in rows if row["split"] == "test"}


def test_every_split_holds_what_its_file_listed(old: Context) -> None:
    expected = listed(old)
    require_whole(old, expected)
    assert read_stamp(old.store).version == STORE.version


def test_the_test_set_of_the_newest_snapshot_stays_and_what_has_trained_goes_on(
    old: Context, tmp_path: Path
) -> None:
    before = listed(old)[f"pets/splits/{NEWEST}"]
    others = set.union(*map(used_for_test, listed(old).values()))
    snapshot = revisions.latest(old, "pets")
    assert snapshot is not None
    again = members_of(old, split.run(spec(), old, snapshot).path)
    assert used_for_test(again) == used_for_test(before)
    assert others - used_for_test(before), "a test set that was given up long ago"
    assert not [row for row in again if row["excluded"] == "leak"]

    class_folders(tmp_path / "landing", per_class=15, first=100)
    added = ingest.run(spec(), old, landing.run(spec(), old, str(tmp_path / "landing")))
    grown = used_for_test(members_of(old, split.run(spec(), old, added).path))
    assert used_for_test(before) < grown


def test_a_migration_may_be_killed_anywhere_and_repeated(
    old: Context, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = listed(old)
    pristine = shutil.copytree(tmp_path / "store", tmp_path / "pristine")
    append, overwrite, delete = Table.append, LocalStore.overwrite, LocalStore.delete
    for last in itertools.count():
        store = tmp_path / f"killed-{last}"
        shutil.copytree(pristine, store)
        settings = old.settings.model_copy(update={"store": store.as_uri()})
        context = Context(settings, open_store(settings))
        with monkeypatch.context() as killed:
            steps = Steps(last)
            killed.setattr(Table, "append", steps.counted(append))
            killed.setattr(LocalStore, "overwrite", steps.counted(overwrite))
            killed.setattr(LocalStore, "delete", steps.counted(delete))
            with contextlib.suppress(KeyboardInterrupt):
                migrate(context.store)
        migrate(context.store)
        require_whole(context, expected)
        newest = members.newest_rows(Table.open(context, "pets", Member), until=99)
        tested = set(newest.loc[newest["first_test"].notna(), "sha256"])
        assert tested == used_for_test(expected[f"pets/splits/{NEWEST}"])
        if steps.done < last:
            break
    assert last > 8


def test_of_two_processes_that_migrate_at_once_each_leaves_the_same(
    old: Context, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = listed(old)
    append = Table.append
    others = iter([LocalStore(old.store.folder)])  # type: ignore[attr-defined]

    def meanwhile(table: Table, rows: Any, **commit: Any) -> None:
        for other in others:
            migrate(other)
        append(table, rows, **commit)

    monkeypatch.setattr(Table, "append", meanwhile)
    migrate(old.store)
    require_whole(old, expected)

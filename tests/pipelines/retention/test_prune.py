"""What is old goes, what a version in use needs stays, and nothing else is ever touched."""

import fcntl
import os
import time
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from threading import Thread

import pyarrow as pa
import pytest
from typer.testing import CliRunner

from pipelines.audit.entries import ANSWERS, AnsweredEntry, audit_folder
from pipelines.audit.trace import trace
from pipelines.cli.app import app
from pipelines.data.land.changes import original_of
from pipelines.data.parquet_files import write_rows
from pipelines.data.rows import Image, Original, Refused, table_of
from pipelines.data.tables import Table
from pipelines.errors import TrackingUnavailable
from pipelines.locks import alone
from pipelines.retention import prune, scheduler, stored
from pipelines.retention.pins import read_pins
from pipelines.retention.turn import turn
from pipelines.stage import Context, fingerprint, used
from pipelines.storage.local import LocalStore
from pipelines.tracking import versions
from tests.pipelines.data.test_tables import Thing
from tests.pipelines.retention import registry as kinds
from tests.pipelines.retention.registry import NAME, NOW, Registry, aged, all_files

OLD = 1000
LAYOUT = "store:layout.json"


@pytest.fixture
def registry(monkeypatch: pytest.MonkeyPatch) -> Registry:
    """Version 3 serves, 2 served before, 1 is named by no card; each of a snapshot of its own."""
    made = Registry(aliases={"champion": 3, "previous": 2})
    for version in (1, 2, 3):
        made.add(version, made_of=version)
    made.answer(monkeypatch)
    return made


def removed(context: Context, *, dry_run: bool = False) -> set[str]:
    """Places that a prune removes."""
    return {f.item.path for f in prune.run(context, now=NOW, dry_run=dry_run)[1] if f.goes}


def pins(context: Context) -> dict[str, str]:
    """Place → why it stays."""
    _, fates = prune.run(context, now=NOW, dry_run=True)
    return {fate.item.path: fate.item.pin for fate in fates if fate.item.pin}


@pytest.mark.usefixtures("registry")
def test_prepared_images_and_all_made_of_them_stay_for_versions_in_use_only(
    context: Context,
) -> None:
    paths = [kinds.prepared(context, number, days=OLD).path for number in (1, 2, 3, 4)]
    check = f"{NAME}/prepared/{fingerprint('check', 1)}"
    old_page = kinds.home_file(context, f"data_docs/validations/{check}/1/rows.html", days=OLD)
    result = kinds.home_file(context, f"expectations/{check}/1/rows.json", days=OLD)
    os.utime((context.settings.home / result).parents[1], (1, 1))
    before = all_files(context)

    gone = removed(context)

    assert gone == {
        f"store:{paths[0]}",
        f"store:{NAME}/prepared/{fingerprint('images', 1)}",
        f"store:{NAME}/features/{fingerprint('features', 1)}",
        f"store:{NAME}/checks/prepared/{fingerprint('check', 1)}",
        f"store:{NAME}/checks/prepared/{fingerprint('check', 4)}",
        f"home:expectations/{check}",
    }
    left, page = all_files(context), {f"home:{old_page}"}
    assert {f for f in before if any(place in f for place in gone)} | page == before - left
    assert "home:data_docs/index.html" in left


@pytest.mark.usefixtures("registry")
def test_a_reason_is_given_for_what_stays(context: Context) -> None:
    paths = [kinds.prepared(context, number, days=OLD).path for number in (1, 2, 3, 4)]

    found = pins(context)

    images = f"store:{NAME}/prepared/{fingerprint('images', 3)}"
    assert found[images] == "version 3: champion"
    assert f"store:{paths[0]}" not in found
    assert found[f"store:{paths[1]}"] == "version 2: previous champion"
    assert found[f"store:{paths[2]}"] == "version 3: champion"
    assert found[f"store:{paths[3]}"] == "the latest of the newest snapshot"


def home_file(name: str, context: Context, days: float) -> str:
    return f"home:{kinds.home_file(context, name, days=days)}"


def bundle(context: Context, days: float) -> str:
    return f"home:{kinds.bundle(context, 1, days=days)}"


def stored_as(make: Callable[..., str], *named: int) -> Callable[[Context, float], str]:
    return lambda context, days: f"store:{make(context, *named, days=days)}"


BY_AGE: dict[str, tuple[float, Callable[[Context, float], str]]] = {
    "landing": (30, stored_as(kinds.landing)),
    "scores": (180, stored_as(kinds.scores)),
    "served": (365.1, stored_as(kinds.served)),
    "window": (365, stored_as(kinds.window, 7)),
    "profile": (365, stored_as(kinds.profile, 1)),
    "bundle": (7, bundle),
    "arrays": (14, partial(home_file, "cache/tiny/prepared/ab/0c.npy")),
    "features": (14, partial(home_file, "cache/tiny/prepared/ab/features/net-01/0c.npy")),
    "training set": (14, partial(home_file, "cache/tiny/training_sets/ab/places.parquet")),
    "model": (14, partial(home_file, f"cache/models/{'ab' * 16}/model.keras")),
    "task log": (30, partial(home_file, "logs/airflow/dag_id=x/run_id=y/task_id=z/attempt=1.log")),
    "part log": (30, partial(home_file, "logs/service.log.1")),
}


@pytest.mark.usefixtures("registry")
@pytest.mark.parametrize("name", BY_AGE)
def test_a_kind_goes_when_it_is_older_than_it_is_kept(context: Context, name: str) -> None:
    limit, make = BY_AGE[name]
    make(context, limit - 0.1)
    assert removed(context) == set()
    for file in all_files(context):
        top = context.settings.home if file.startswith("home:") else Path(context.store.root[7:])
        (top / file.partition(":")[2]).unlink()
    for folder in (context.settings.bundles / NAME, Path(context.store.root[7:]) / NAME):
        for inner, _, _ in os.walk(folder, topdown=False):
            Path(inner).rmdir()

    gone = make(context, limit + 1.1)

    assert removed(context, dry_run=True) == {gone}
    assert removed(context) == {gone}
    assert [
        f for f in all_files(context) if "layout" not in f and not f.endswith("index.html")
    ] == []
    assert removed(context) == set()


@pytest.mark.usefixtures("registry")
def test_a_dry_run_removes_nothing_and_says_how_many_bytes(context: Context) -> None:
    kinds.scores(context, days=OLD)
    before = all_files(context)

    pruned, _ = prune.run(context, now=NOW, dry_run=True)

    assert all_files(context) == before
    [scores] = [total for total in pruned.totals if total.kind == "scores"]
    assert (scores.removed, scores.days) == (1, 180)
    assert scores.bytes > 1000


@pytest.mark.usefixtures("registry")
def test_zero_days_keep_for_ever(context: Context) -> None:
    kinds.scores(context, days=OLD)
    settings = context.settings.model_copy(update={"keep_scores_days": 0})

    assert removed(replace(context, settings=settings)) == set()


@pytest.mark.usefixtures("registry")
def test_what_a_run_uses_again_counts_as_new(context: Context) -> None:
    one = kinds.prepared(context, 1, days=OLD)
    used(context, one.path)

    assert removed(context) == {f"store:{NAME}/checks/prepared/{fingerprint('check', 1)}"}
    assert context.store.exists(one.images), "its images are used with it"


@pytest.mark.usefixtures("registry")
def test_a_training_set_stays_for_each_snapshot_that_gave_it(context: Context) -> None:
    """Version 3 was made from a later snapshot that gave the same images."""
    one = kinds.prepared(context, 1, days=OLD)
    other = kinds.prepared(context, 3, days=OLD)
    origins = [[made.snapshot, made.split] for made in (one, other)]
    said = {"output": one.model_dump(), "made_from": origins}
    context.store.write_json(f"{one.path}/manifest.json", said)
    aged(context, f"{one.path}/manifest.json", OLD)

    assert pins(context)[f"store:{one.path}"] == "version 3: champion"
    assert not {f"store:{one.path}", f"store:{one.images}"} & removed(context)


OLDER: dict[str, dict[str, object]] = {
    "prepared": {"snapshot": "s", "split": "s", "segmenter": None, "rows": {}},
    "features": {"prepared": "p", "kind": "texture", "model": None, "images": 3},
}
"""Stage → what the output of an older release said besides dataset, id and path."""


@pytest.mark.usefixtures("registry")
@pytest.mark.parametrize("stage", OLDER)
def test_what_an_older_release_has_prepared_goes(context: Context, stage: str) -> None:
    """Nothing reads their layout any more, not even for the champion."""
    old = OLDER[stage] | {"dataset": NAME, "id": "0a", "path": f"{NAME}/{stage}/0a"}
    context.store.write(f"{NAME}/{stage}/0a/train-00000.parquet", b"x")
    context.store.write_json(f"{NAME}/{stage}/0a/manifest.json", {"output": old, "splits": {}})
    context.store.write_json(f"{NAME}/{stage}/other/manifest.json", {"output": {}})
    for name in ("0a", "other"):
        aged(context, f"{NAME}/{stage}/{name}/manifest.json", OLD)

    assert removed(context) == {f"store:{NAME}/{stage}/0a"}
    assert pins(context)[f"store:{NAME}/{stage}/other"].startswith("nothing proves")


@pytest.mark.usefixtures("registry")
def test_files_that_a_table_no_longer_lists_go_after_a_day(context: Context) -> None:
    table = Table.open(context, NAME, Thing)
    for number in (1, 2):
        table.append(table_of([Thing("one", number, (), None)], Thing), revision=number)
    first, second = table.parts()
    third = table.write(table_of([Thing("one", 3, (), None)], Thing)).name  # not committed yet
    table.replace([first], [])
    for name in (first, second):
        aged(context, f"{table.path}/{name}", OLD)

    assert removed(context) == {f"store:{table.path}/{first}"}
    assert {second, third} < set(context.store.names(table.path))
    aged(context, f"{table.path}/{third}", OLD)
    table.write(table_of([Thing("one", 3, (), None)], Thing))  # by another attempt
    assert removed(context) == set()


def packed(context: Context, *sha256s: str) -> str:
    """A pack, old, and its rows of ``originals``; its folder."""
    folder = f"{NAME}/packs/{sha256s[0]}"
    for row, sha256 in enumerate(sha256s):
        found = {"sha256": sha256, "bytes": 1}
        original = original_of(found, pack=f"{folder}/originals.parquet", row=row)
        Table.open(context, NAME, Original).append(table_of([original], Original))
    context.store.write(f"{folder}/originals.parquet", b"pack")
    aged(context, f"{folder}/originals.parquet", OLD)
    return folder


@pytest.mark.usefixtures("registry")
def test_packs_that_no_table_names_go_after_a_day(context: Context) -> None:
    named = packed(context, "a")
    left = f"{NAME}/packs/killed"
    context.store.write(f"{left}/originals.parquet", b"pack")
    assert removed(context) == set()
    assert pins(context)[f"store:{named}"] == "a table names it"
    aged(context, f"{left}/originals.parquet", OLD)

    (fate,) = [f for f in prune.run(context, now=NOW, dry_run=True)[1] if f.goes]
    aged(context, f"{left}/originals.parquet", 0)  # a landing has just found it
    assert not fate.item.remove()
    aged(context, f"{left}/originals.parquet", OLD)
    assert removed(context) == {f"store:{left}"}


@pytest.mark.usefixtures("registry")
def test_a_landing_stays_while_it_alone_knows_whose_an_original_is(context: Context) -> None:
    packed(context, "a", "b")
    landing = kinds.landing(context, days=OLD)
    rows = pa.table({"sha256": ["a", "b", None]})
    write_rows(context.store, f"{landing}/files.parquet", rows.to_pylist(), schema=rows.schema)
    assert "no snapshot" in pins(context)[f"store:{landing}"]
    now = datetime.now(UTC)
    one = Refused("l", "b.png", "blank", None, None, None, None, "b", None, None, now)
    Table.open(context, NAME, Refused).append(table_of([one], Refused))
    assert f"store:{landing}" in pins(context)
    image = Image("a", 1, 1, "f", (), 0, None, None, "l", now)
    Table.open(context, NAME, Image).append(table_of([image], Image), revision=1)
    assert removed(context) == {f"store:{landing}"}


@pytest.mark.usefixtures("registry")
def test_parts_that_a_killed_preparation_left_go(context: Context) -> None:
    path = kinds.images(context, 1, days=0)
    for name, days in (("bb", OLD), ("cc", 0)):
        context.store.write(f"{path}/parts/{name}.parquet", b"x")
        aged(context, f"{path}/parts/{name}.parquet", days)

    assert removed(context) == {f"store:{path}/parts/bb.parquet"}
    assert context.store.names(f"{path}/parts") == ["aa.parquet", "cc.parquet"]


@pytest.mark.usefixtures("registry")
def test_features_of_parts_that_went_go_after_a_day(context: Context) -> None:
    kinds.prepared(context, 3, days=OLD)
    path = f"{NAME}/features/{fingerprint('features', 3)}"
    context.store.delete(f"{path}/part-0.parquet")
    for name, days in (("aa", 5.0), ("bb", 1.1), ("cc", 0.9)):
        context.store.write(f"{path}/{name}.parquet", b"x")
        aged(context, f"{path}/{name}.parquet", days)

    assert removed(context) == {f"store:{path}/bb.parquet"}


@pytest.mark.usefixtures("registry")
def test_what_is_used_after_the_look_is_left_alone(context: Context) -> None:
    path = kinds.scores(context, days=OLD)
    [item] = stored.items(context, NAME, read_pins(context, NAME))
    aged(context, f"{path}/manifest.json", 0)

    assert item.path == f"store:{path}"
    assert not item.remove()
    assert context.store.exists(path)


@pytest.mark.usefixtures("registry")
def test_only_what_is_proven_to_be_ours_goes(context: Context, tmp_path: Path) -> None:
    store = context.store
    assert isinstance(store, LocalStore)
    foreign = kinds.scores(context, days=OLD)
    moved = kinds.scores(context, days=OLD + 1)
    store.rename(moved, f"{NAME}/scores/moved")
    store.delete(f"{foreign}/manifest.json")
    mixed = kinds.served(context, days=OLD)
    store.write(f"{mixed}/notes.txt", b"of a person")
    kinds.bundle(context, 1, days=OLD, dataset="other")
    for name in ("cache/mine.txt", "logs/service.log", "logs/notes.log", "work/training/mine/a"):
        kinds.home_file(context, name, days=OLD)
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    linked = kinds.scores(context, days=OLD + 2)
    target = elsewhere / "scores"
    (store.folder / linked).rename(target)
    (store.folder / linked).symlink_to(target)
    (context.settings.cache / "openvino").symlink_to(elsewhere)
    (elsewhere / "1.blob").write_bytes(b"x")
    os.utime(elsewhere / "1.blob", (1, 1))
    before = all_files(context)

    assert removed(context) == set()
    assert all_files(context) == before
    assert (elsewhere / "1.blob").exists()
    assert pins(context)[f"store:{linked}"] == "a symbolic link leads there"


def test_where_mlflow_is_another_one_everything_stays(context: Context, registry: Registry) -> None:
    kinds.prepared(context, 1, days=OLD)
    kinds.prepared(context, 4, days=OLD)
    kinds.bundle(context, 1, days=OLD)
    registry.known.clear()
    registry.aliases.clear()

    assert removed(context) == set()
    assert "is it the right MLflow?" in next(iter(pins(context).values()))


@pytest.mark.usefixtures("registry")
def test_a_bundle_that_mlflow_has_not_stays(
    context: Context, monkeypatch: pytest.MonkeyPatch
) -> None:
    kinds.bundle(context, 1, days=OLD)
    monkeypatch.setattr("pipelines.tracking.client.Tracking.has_artifact", lambda *_: False)

    assert removed(context) == set()


def test_a_version_that_says_nothing_of_its_images_pins_all(
    context: Context, registry: Registry
) -> None:
    kinds.prepared(context, 1, days=OLD)
    kinds.prepared(context, 4, days=OLD)
    registry.known[-1] = replace(registry.known[-1], tags={})
    kinds.bundle(context, 3, days=OLD, snapshot=7)  # unreadable

    assert removed(context) == set()


@pytest.mark.usefixtures("registry")
def test_caches_go_also_while_mlflow_is_away(
    context: Context, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = kinds.home_file(context, "cache/openvino/1.blob", days=OLD)
    kinds.scores(context, days=OLD)

    def away(*_: object) -> None:
        raise TrackingUnavailable("away")

    monkeypatch.setattr(versions, "every", away)
    with pytest.raises(TrackingUnavailable):
        prune.run(context, now=NOW)
    assert not (context.settings.home / name).exists()


@pytest.mark.usefixtures("registry")
def test_work_that_a_process_holds_stays_and_abandoned_work_goes(context: Context) -> None:
    held, left = (context.settings.work / "training" / (name * 16) for name in "ab")
    for folder in (held, left):
        kinds.home_file(context, f"work/training/{folder.name}/epoch-1.npz", days=2)
        folder.with_suffix(".lock").touch()

    with alone(held):
        assert removed(context) == {f"home:work/training/{'b' * 16}"}
    assert held.is_dir()
    assert not left.exists()


@pytest.mark.usefixtures("registry")
def test_a_lock_that_was_removed_while_somebody_waits_keeps_no_two_apart(context: Context) -> None:
    folder = context.settings.work / "training" / ("a" * 16)
    lock = folder.with_suffix(".lock")
    lock.parent.mkdir(parents=True)
    entered = []

    def work() -> None:
        with alone(folder), lock.open("a") as other:
            with pytest.raises(BlockingIOError):
                fcntl.flock(other, fcntl.LOCK_EX | fcntl.LOCK_NB)
            entered.append(True)

    with lock.open("a") as first:
        fcntl.flock(first, fcntl.LOCK_EX)
        waiting = Thread(target=work)
        waiting.start()
        time.sleep(0.1)
        lock.unlink()
    waiting.join(10)

    assert entered == [True]


@pytest.mark.usefixtures("registry")
def test_staging_of_dead_writers_goes_and_that_of_living_ones_stays(context: Context) -> None:
    with context.store.commit(f"{NAME}/scores/aa") as staging:
        dead = f"{NAME}/scores/.staging-bb-00"
        context.store.write(f"{dead}/part.parquet", b"x")
        os.utime(Path(context.store.root[7:]) / dead, (NOW - 2 * 86400,) * 2)
        assert removed(context) == {f"store:{dead}"}
        assert context.store.exists(staging)


@pytest.mark.usefixtures("registry")
def test_a_prune_that_is_killed_is_gone_on_with(
    context: Context, monkeypatch: pytest.MonkeyPatch
) -> None:
    gone = {kinds.scores(context, days=OLD + n) for n in range(3)}
    real, calls = LocalStore._delete, []

    def killed(store: LocalStore, path: str) -> None:
        calls.append(path)
        if len(calls) == 4:  # renamed away, and not yet deleted
            raise KeyboardInterrupt
        real(store, path)

    with monkeypatch.context() as patch:
        patch.setattr(LocalStore, "_delete", killed)
        with pytest.raises(KeyboardInterrupt):
            prune.run(context, now=NOW)
    assert context.store.hidden(f"{NAME}/scores")
    assert all(not context.store.exists(path) or context.store.exists(f"{path}/manifest.json")
               for path in gone)  # fmt: skip

    removed(context)

    assert context.store.hidden(f"{NAME}/scores") == []
    assert context.store.names(f"{NAME}/scores") == []


@pytest.mark.usefixtures("registry")
def test_two_prunes_take_turns(context: Context) -> None:
    kinds.scores(context, days=OLD)
    found: list[set[str]] = []
    with turn(context.settings):
        second = Thread(target=lambda: found.append(removed(context)))
        second.start()
        time.sleep(0.1)
        assert found == []
    second.join(10)

    assert len(found[0]) == 1


@pytest.mark.usefixtures("registry")
def test_an_answer_of_the_previous_champion_is_traced_after_a_prune(context: Context) -> None:
    one = kinds.prepared(context, 2, days=OLD)
    context.store.write_json(f"{one.split}/manifest.json", {"output": {"leaks": 7}})
    said = {"candidate": "one", "run_id": kinds.run_of(2), "git_commit": "0", "created_at": "then"}
    where = {"snapshot": one.snapshot, "split": one.split, "prepared": one.path}
    kinds.bundle(context, 2, days=OLD, metrics={}, digest="d" * 64, **said, **where)
    entry = AnsweredEntry(
        request_id="0" * 16,
        token="viewer",
        address="10.0.0.9",
        path="/predict",
        milliseconds=4.2,
        dataset=NAME,
        model_version=2,
        run_id=kinds.run_of(2),
        bundle="d" * 64,
        sha256="ab" * 32,
        class_name="haze",
        confidence=0.75,
        abstained=False,
    )
    audit_folder(context.settings).mkdir(parents=True)
    line = entry.model_dump_json(by_alias=True) + "\n"
    (audit_folder(context.settings) / ANSWERS).write_text(line, "utf-8")

    removed(context)
    found = trace(context, "0" * 16)

    assert found.gaps == []
    assert found.split == {"leaks": 7}
    assert found.origin is not None
    assert context.store.exists(found.origin.prepared)


def test_airflows_own_command_is_asked_for_its_records(
    context: Context, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert scheduler.clean(context.settings, before=NOW) == scheduler.ELSEWHERE
    kinds.home_file(context, "airflow/airflow.cfg", days=0)
    assert scheduler.clean(context.settings, before=NOW) == scheduler.ELSEWHERE
    (context.settings.home / "postgres" / "data").mkdir(parents=True)
    asked: list[tuple[list[str], dict[str, str]]] = []

    class Ran:
        returncode, stdout, stderr = 0, "", ""

    def ran(command: list[str], *, env: dict[str, str], **_: object) -> Ran:
        asked.append((command, env))
        return Ran()

    monkeypatch.setenv(scheduler.CONNECTION, "airflow-db-not-allowed:///")
    monkeypatch.setattr("pipelines.retention.scheduler.subprocess.run", ran)
    assert "are removed" in scheduler.clean(context.settings, before=0)
    [(command, environment)] = asked
    assert command[3:7] == ["db", "clean", "--clean-before-timestamp", "1970-01-01T00:00:00+00:00"]
    assert scheduler.CONNECTION not in environment


@pytest.mark.usefixtures("registry")
def test_the_command_shows_what_goes_and_why_the_rest_stays(context: Context) -> None:
    gone = kinds.scores(context, days=OLD)
    kinds.prepared(context, 3, days=OLD)

    dry = CliRunner().invoke(app, ["prune", "--dry-run"], env={"COLUMNS": "200"})
    assert (dry.exit_code, context.store.exists(gone)) == (0, True)
    done = CliRunner().invoke(app, ["prune"], env={"COLUMNS": "200"})

    assert gone.replace("/", "") in dry.output.replace("/", "").replace("\n", "")
    assert "version 3: champion" in dry.output
    assert "1 folders and files removed" in done.output
    assert not context.store.exists(gone)

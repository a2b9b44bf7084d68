from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest

from pipelines import guarded
from pipelines.data.folders import FileState, LocalFolder
from pipelines.data.folders.hdfs import HdfsFolder
from pipelines.data.land import executor, landing, opening
from pipelines.data.land.examine import Examined
from pipelines.data.land.executor import Landed, LandJob, land
from pipelines.data.land.ledger import open_ledger
from pipelines.data.land.opening import Opener, chunks_of
from pipelines.data.land.pseudonyms import Erased, keyed, load_pseudonyms
from pipelines.data.restore import originals
from pipelines.data.rows import Original
from pipelines.data.tables import Table
from pipelines.imaging.limits import limits_of
from pipelines.stage import Context
from tests.pipelines.data.landing_folders import class_folders, drawing, png, spec, write


@pytest.fixture
def folder(tmp_path: Path) -> LocalFolder:
    class_folders(tmp_path / "landing")
    write(tmp_path / "landing" / "cat" / "broken.png", png(drawing(1))[:300])
    return LocalFolder(tmp_path / "landing")


def job(context: Context, folder: LocalFolder, *, gone: Sequence[str] = ()) -> LandJob:
    names = load_pseudonyms(context.settings)
    erased = Erased(names, frozenset(keyed(names, one) for one in gone))
    known = tuple(Table.open(context, "pets", Original).parts())
    return LandJob(folder, names, limits_of(spec().limits), erased, "pets", known)


def paths(folder: LocalFolder) -> list[str]:
    return [file.path for file in folder.files()]


def stored(context: Context, done: list[Landed]) -> dict[str, bytes]:
    """Path → original, of what was packed, once its rows are part of the table."""
    table = Table.open(context, "pets", Original)
    for landed in done:
        table.register(landed.parts)
    places = {
        row["facts"]: row for row in table.arrow(["facts", "sha256", "pack", "row"]).to_pylist()
    }
    rows = [
        places[row["facts"]] | {"source_path": row["path"].decode()}
        for landed in done
        for row in landed.opened.to_pylist()
        if row["facts"]
    ]
    return {row["source_path"]: data for row, data in originals(context, rows)}


def test_a_second_attempt_writes_the_same_files(context: Context, folder: LocalFolder) -> None:
    attempts = []
    for _ in range(2):
        done = list(land(paths(folder), job(context, folder), context.store, processes=1))
        attempts.append((done, list(context.store.walk("pets"))))
    assert attempts[0] == attempts[1]
    assert stored(context, attempts[1][0]) == {
        path: folder.read(path) for path in paths(folder) if "broken" not in path
    }


def test_an_image_that_is_known_is_not_packed_again_whatever_is_found_in_it(
    context: Context, folder: LocalFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    landing.run(spec(), context, folder.location)
    packs = context.store.names("pets/packs")
    table = Table.open(context, "pets", Original)
    before = table.arrow(["sha256", "pack", "row"]).to_pylist()
    (done,) = land(paths(folder), job(context, folder), context.store, processes=1)
    assert done.parts == []
    monkeypatch.setattr(guarded, "call_each", here)
    monkeypatch.setattr("pipelines.data.land.examine.grey_level", lambda _: (1.0, 2.0))
    some = [path for path in paths(folder) if "cat" not in path]  # or it would be the same pack
    (done,) = land(some, job(context, folder), context.store, processes=1)
    table.register(done.parts)
    assert context.store.names("pets/packs") == packs
    after = table.arrow(["sha256", "pack", "row"]).to_pylist()
    assert len(after) == len(before) + 4
    assert {tuple(row.values()) for row in after} == {tuple(row.values()) for row in before}


def here(
    function: Callable[[str], Examined], items: Sequence[str], **_: object
) -> Iterator[tuple[str, Examined]]:
    """In the place of `guarded.call_each`."""
    return ((item, function(item)) for item in items)


def test_nothing_of_an_erased_image_is_stored(context: Context, folder: LocalFolder) -> None:
    one, *_ = paths(folder)
    found: dict[str, str] = {}
    for landed in land(paths(folder), job(context, folder), context.store, processes=1):
        found |= {row["path"].decode(): row["sha256"] for row in landed.opened.to_pylist()}
    context.store.delete("pets")
    again = job(context, folder, gone=[found[one]])
    (done,) = land(paths(folder), again, context.store, processes=1)
    said = {row["path"].decode(): row for row in done.opened.to_pylist()}
    assert (said[one]["reason"], said[one]["sha256"], said[one]["facts"]) == ("erased", None, None)
    assert one not in stored(context, [done])


@pytest.mark.usefixtures("spark")
def test_executors_store_what_this_machine_would(
    context: Context, folder: LocalFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(opening, "FEW_FILES", 3)
    done = list(opening._by_spark(folder.files(), job(context, folder), context.settings))
    assert len(done) == 2, "a task for each core"
    alone = land(paths(folder), job(context, folder), context.store, processes=1)
    by_path = {row["path"]: row for landed in done for row in landed.opened.to_pylist()}
    assert by_path == {row["path"]: row for landed in alone for row in landed.opened.to_pylist()}
    assert stored(context, done) == {
        path: folder.read(path) for path in paths(folder) if "broken" not in path
    }


@pytest.mark.parametrize(
    ("spark", "place", "task_bytes", "by_spark"),
    [
        ("yarn", "hdfs", 10, True),
        ("local", "hdfs", 10, False),
        ("yarn", "here", 10, False),
        ("yarn", "hdfs", 10**9, False),
    ],
)
def test_executors_read_large_deliveries_that_every_node_can_read(
    context: Context,
    folder: LocalFolder,
    monkeypatch: pytest.MonkeyPatch,
    spark: str,
    place: str,
    task_bytes: int,
    by_spark: bool,
) -> None:
    monkeypatch.setattr(opening, "TASK_BYTES", task_bytes)
    monkeypatch.setattr(opening, "_by_spark", lambda *_: ["by Spark"])
    monkeypatch.setattr(executor, "land", lambda *_, **__: ["here"])
    in_hdfs = HdfsFolder("hdfs:///in", webhdfs="http://127.0.0.1:9", user="me")
    settings = context.settings.model_copy(update={"spark": spark})
    names, ledger = load_pseudonyms(settings), open_ledger(settings, "pets")
    source = in_hdfs if place == "hdfs" else folder
    opener = Opener(spec(), Context(settings, context.store), source, names, ledger)
    done: list[object] = list(opener._each(folder.files(), job(context, folder)))
    assert done == (["by Spark"] if by_spark else ["here"])


def test_tasks_share_the_bytes() -> None:
    files = [FileState(f"{n}.png", 1000, 0, 0.0) for n in range(1000)]
    assert [len(chunk) for chunk in chunks_of(files, cores=4)] == [250] * 4
    assert len(chunks_of(files[:100], cores=4)) == 2, "not for a few files each"
    large = [FileState(f"{n}.dcm", 100 * 1000**2, 0, 0.0) for n in range(10)]
    assert [len(chunk) for chunk in chunks_of(large, cores=1)] == [3, 2, 3, 2]
    empty = [FileState("empty.png", 0, 0, 0.0)]
    assert chunks_of(empty, cores=4) == [["empty.png"]]


def test_files_of_one_size_are_in_one_task_unless_they_fill_more() -> None:
    sizes = [1000 + n // 2 for n in range(1000)]
    files = [FileState(f"{n * 389 % 1000:03}.png", s, 0, 0.0) for n, s in enumerate(sizes)]
    size_of = {file.path: file.size for file in files}
    chunks = chunks_of(files, cores=4)
    assert sorted(path for chunk in chunks for path in chunk) == sorted(size_of)
    assert all(200 < len(chunk) < 300 for chunk in chunks)
    in_each = [{size_of[path] for path in chunk} for chunk in chunks]
    assert sum(map(len, in_each)) == len(set(sizes)), "no size is in two tasks"

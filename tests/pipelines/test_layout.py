"""An older layout is read or migrated, a newer one refused: of homes and of stores."""

import json
from importlib.metadata import version
from pathlib import Path

import pytest

from pipelines import layout
from pipelines.errors import LayoutError
from pipelines.layout import FILE, Layout, read_stamp
from pipelines.outputs import Snapshot
from pipelines.settings import Settings
from pipelines.stage import Context, default_context, existing_output
from pipelines.storage import Store, open_store
from pipelines.storage.hdfs import HdfsStore
from pipelines.storage.local import LocalStore


@pytest.fixture(params=["local", "hdfs"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Store:
    if request.param == "local":
        return LocalStore(tmp_path / "store")
    settings: Settings = request.getfixturevalue("hdfs")
    root = f"{settings.store_root}/{tmp_path.name}"
    return HdfsStore(root, webhdfs=settings.webhdfs, user=settings.hdfs_user)


def newer(store: Store) -> None:
    store.write_json(FILE, {"version": 99, "medloop": "7.5.0", "something": "new"})


def test_the_first_write_stamps_a_store_with_its_layout_and_the_release(store: Store) -> None:
    with store.commit("a/b") as staging:
        store.write(f"{staging}/file", b"1")

    assert store.read_json(FILE) == {"version": layout.STORE.version, "medloop": version("medloop")}
    assert store.names("") == ["a", FILE]
    assert store.hidden("") == []


def test_a_store_from_before_there_were_layouts_is_read_and_stamped(context: Context) -> None:
    snapshot = Snapshot(
        dataset="d", id="1", path="d/snapshots/1", images=1, added=1, parent=None, quarantine=None
    )
    context.store.write_json("d/snapshots/1/manifest.json", {"output": snapshot.model_dump()})

    assert existing_output(context, "d/snapshots/1", Snapshot) == snapshot
    assert read_stamp(context.store).version == layout.STORE.version


def test_nothing_is_written_to_a_store_of_a_newer_release(store: Store) -> None:
    newer(store)

    with pytest.raises(LayoutError, match=r"layout 99, written by Medloop 7\.5\.0.*restore"):
        store.place("a/b", b"1")
    with pytest.raises(LayoutError, match=r"7\.5\.0"), store.commit("a/b"):
        raise AssertionError("must not be entered")
    assert store.names("") == [FILE]


def test_nothing_is_read_from_a_store_of_a_newer_release(context: Context) -> None:
    newer(context.store)

    with pytest.raises(LayoutError, match=r"7\.5\.0"):
        existing_output(context, "d/snapshots/1", Snapshot)


def test_a_home_of_a_newer_release_is_not_used(installation: Settings) -> None:
    default_context()
    home = LocalStore(installation.home)
    assert read_stamp(home).version == layout.HOME.version
    newer(home)

    with pytest.raises(LayoutError, match=r"home .*7\.5\.0"):
        default_context()


def test_steps_are_taken_in_order_from_where_a_store_stands(store: Store) -> None:
    def add(name: str) -> layout.Step:
        return lambda s: s.write(name, b"")

    Layout("store", [add("one")]).require(store)
    store.delete("one")
    Layout("store", [add("one"), add("two"), add("three")]).require(store)

    assert store.names("") == [FILE, "three", "two"]
    assert read_stamp(store).version == 3


def test_a_step_that_was_cut_off_is_taken_again(store: Store) -> None:
    done = []

    def fails_once(_: Store) -> None:
        done.append("tried")
        if len(done) == 1:
            raise OSError("power failure")

    with pytest.raises(OSError, match="power"):
        Layout("store", [fails_once]).require(store)
    assert read_stamp(store).version == 0
    Layout("store", [fails_once]).require(store)

    assert read_stamp(store).version == 1
    assert done == ["tried", "tried"]


@pytest.mark.parametrize("text", ["", "{", json.dumps({"version": "x"}), "[]"])
def test_a_stamp_that_cannot_be_read_is_an_error_that_names_it(tmp_path: Path, text: str) -> None:
    store = LocalStore(tmp_path)
    store.write(FILE, text.encode())

    with pytest.raises(LayoutError, match=FILE):
        layout.STORE.require(store)


def test_a_stamp_is_asked_for_once(installation: Settings) -> None:
    store = open_store(installation)
    store.place("a/one", b"1")
    newer(store)

    store.place("a/two", b"2")
    assert store.names("a") == ["one", "two"]

"""Staging belongs to one writer: of two live ones, one complete output results."""

import time

import pytest

from pipelines.errors import NotFound, StoreUnavailable
from pipelines.storage import Store, staging
from pipelines.storage.renaming import RenamingStore
from tests.pipelines.storage.rival import Rival, require_one_whole_output

LONG_AGO = 1_000_000_000.0
RENAMING = pytest.mark.parametrize("store", ["local", "hdfs"], indirect=True)
"""Of stores that stage a folder beside its place; of others see test_attempts.py."""


@RENAMING
def test_a_live_writer_keeps_its_staging_and_half_of_it_is_never_seen(store: Store) -> None:
    rival = Rival(store, "d/s1")
    try:
        with store.commit("d/s1") as mine:
            store.write(f"{mine}/mine", b"1")
            store.write(f"{mine}/manifest.json", b"{}")
            rival.finish()
    finally:
        rival.kill()

    require_one_whole_output(store, "d/s1")


@RENAMING
def test_the_first_to_finish_stays(store: Store) -> None:
    rival = Rival(store, "d/s1")
    try:
        with store.commit("d/s1") as mine:
            store.write(f"{mine}/mine", b"1")
            store.write(f"{mine}/manifest.json", b"{}")
        rival.finish()
    finally:
        rival.kill()

    assert store.names("d/s1") == ["manifest.json", "mine"]
    assert store.hidden("d") == []


def test_the_staging_of_a_killed_writer_is_deleted_by_the_next_commit_beside_it(
    store: Store,
) -> None:
    rival = Rival(store, "d/s1")
    rival.kill()
    assert store.hidden("d")

    with store.commit("d/s2") as mine:
        store.write(f"{mine}/manifest.json", b"{}")

    assert store.names("d") == ["s2"]
    assert store.hidden("d") == []


@RENAMING
def test_the_staging_of_a_writer_elsewhere_is_deleted_once_its_lease_has_expired(
    store: RenamingStore,
) -> None:
    elsewhere = staging.Writer(machine="another boot", pid=1, started="1").model_dump_json()
    for name in ("dead", "alive"):
        store.write(f"d/.staging-{name}/{staging.OWNER}", elsewhere.encode())
    store.set_modified(f"d/.staging-dead/{staging.OWNER}", time.time() - 1000)
    store.write("d/.staging-orphan/part", b"of an executor that outlived its driver")

    store.sweep("d")

    assert store.hidden("d") == [".staging-alive", ".staging-orphan"]


@RENAMING
def test_staging_without_a_lease_is_deleted_after_a_day(
    store: RenamingStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    store.write("d/.staging-folder/part", b"")
    store.write("d/.staging-file", b"")
    store.write("d/.abandoned-1/part", b"of a sweep that was killed")
    store.write("d/.other-program", b"")
    monkeypatch.setattr(staging, "ORPHAN_SECONDS", -60.0)

    store.sweep("d")

    assert store.hidden("d") == [".other-program"]


@RENAMING
def test_a_suspended_writer_that_was_taken_for_dead_loses_cleanly(store: RenamingStore) -> None:
    def suspended() -> None:
        with store.commit("d/s1") as mine:
            store.write(f"{mine}/first", b"1")
            store.set_modified(f"{mine}/{staging.OWNER}", LONG_AGO)
            store.write(f"{mine}/{staging.OWNER}", b'{"machine": "x", "pid": 1, "started": ""}')
            store.set_modified(f"{mine}/{staging.OWNER}", LONG_AGO)
            store.sweep("d")
            store.write(f"{mine}/second", b"2")

    with pytest.raises(StoreUnavailable, match="Run the step again"):
        suspended()

    assert store.names("d") == []
    assert store.hidden("d") == []


@RENAMING
def test_a_lease_is_renewed_by_the_stores_clock_and_never_written_again(
    store: RenamingStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(staging, "HEARTBEAT_SECONDS", 0.05)
    store.require_layout()
    with staging.Lease(store, f"d/.staging-1/{staging.OWNER}") as lease:
        owner = f"d/.staging-1/{staging.OWNER}"
        store.set_modified(owner, LONG_AGO)
        until = time.monotonic() + 30
        while store.modified(owner) == LONG_AGO and time.monotonic() < until:
            time.sleep(0.02)
        assert abs(store.modified(owner) - lease.began) < 60
        store.delete("d/.staging-1")
        time.sleep(0.3)
        assert not store.exists(owner)


def test_half_a_folder_that_an_earlier_release_left_in_place_is_replaced(store: Store) -> None:
    store.write("d/s1/first", b"half")

    with store.commit("d/s1") as mine:
        store.write(f"{mine}/manifest.json", b"{}")

    assert store.names("d/s1") == ["manifest.json"]
    assert store.hidden("d") == []


def test_a_recommit_takes_the_place_of_what_was_there(store: Store) -> None:
    for text in (b"1", b"2"):
        with store.recommit("d/s1") as mine:
            store.write(f"{mine}/manifest.json", text)

    assert store.read("d/s1/manifest.json") == b"2"
    assert store.hidden("d") == []


@RENAMING
def test_a_rename_never_replaces_and_names_what_is_missing(store: RenamingStore) -> None:
    store.write("d/a", b"a")
    store.write("d/b", b"b")

    assert not store.rename("d/a", "d/b")
    assert store.read("d/b") == b"b"
    with pytest.raises(NotFound, match="nothing-here"):
        store.rename("d/nothing-here", "d/c")


@pytest.mark.parametrize("path", ["", "/", "..", "d/../..", "/etc", "d//x", "."])
def test_the_store_itself_and_what_is_outside_cannot_be_deleted(store: Store, path: str) -> None:
    store.write("d/a", b"a")

    with pytest.raises(ValueError, match="nothing was deleted"):
        store.delete(path)
    assert store.exists("d/a")

"""A folder is committed to an object store as a whole, whoever is killed or suspended, and when."""

import time
from pathlib import Path
from typing import cast

import pytest

from pipelines.errors import SettingsError, StoreUnavailable
from pipelines.storage import attempts, open_store, staging
from pipelines.storage.object_store import ObjectStore
from tests.pipelines.storage.s3_server import BUCKET, S3Server

ELSEWHERE = staging.Writer(machine="another boot", pid=1, started="1").model_dump_json().encode()
LONG_AGO = 1_000_000_000.0


class Killed(BaseException):
    """Ends the process under test: nothing is cleaned up after it."""


@pytest.fixture
def objects(s3: S3Server, tmp_path: Path) -> ObjectStore:
    return cast(ObjectStore, open_store(s3.settings(tmp_path.name)))


def age(server: S3Server, store: ObjectStore, path: str, when: float = LONG_AGO) -> None:
    folder = store.root.removeprefix(f"s3://{BUCKET}/")
    server.set_modified(f"{folder}/{path}", when)


def begun(store: ObjectStore, name: str) -> attempts.Attempt:
    """An attempt of a process on another machine, with one file."""
    this = attempts.Attempt("d", name, "0123456789abcdef")
    store.write(this.lease, ELSEWHERE)
    store.write(f"{this.data}/manifest.json", b"{}")
    return this


def test_the_data_of_a_dead_writer_are_deleted_once_its_lease_has_expired(
    objects: ObjectStore, s3: S3Server
) -> None:
    dead, alive = begun(objects, "dead"), begun(objects, "alive")
    age(s3, objects, dead.lease)

    assert objects.dead_in("d") == [dead.data]
    objects.sweep("d")

    left = [Path(path).name for path in (dead.data, alive.data, alive.lease)]
    assert objects.hidden("d") == sorted(left)
    assert objects.read(dead.seal) == attempts.ABANDONED
    assert objects.names(dead.data) == []
    assert objects.names("d") == []

    age(s3, objects, dead.seal)
    objects.sweep("d")
    assert objects.hidden("d") == sorted(left[1:])


def test_a_commit_that_was_sealed_and_not_finished_is_finished_by_the_next_sweep(
    objects: ObjectStore, s3: S3Server
) -> None:
    dead = begun(objects, "s1")
    objects.write(dead.seal, attempts.COMMITTED)
    age(s3, objects, dead.lease)

    objects.sweep("d")

    assert objects.names("d/s1") == ["manifest.json"]
    assert objects.hidden("d") == []


def test_a_sealed_commit_that_came_second_is_deleted(objects: ObjectStore, s3: S3Server) -> None:
    dead = begun(objects, "s1")
    objects.write(dead.seal, attempts.COMMITTED)
    with objects.commit("d/s1") as mine:
        objects.write(f"{mine}/mine", b"1")
    age(s3, objects, dead.lease)

    objects.sweep("d")

    assert objects.names("d/s1") == ["mine"]
    assert objects.hidden("d") == []


@pytest.mark.parametrize("step", [0, 1, 3, 4, 5])  # lease, data, seal, entry, end of the lease
def test_a_writer_that_is_killed_at_any_request_leaves_a_whole_folder_or_none(
    objects: ObjectStore, s3: S3Server, monkeypatch: pytest.MonkeyPatch, step: int
) -> None:
    objects.create("d/first", b"")
    writes = iter(range(step))

    def killing(kind: str) -> None:
        real = getattr(objects.objects, kind)

        def dies(*args: object) -> object:
            if next(writes, None) is None:
                raise Killed
            return real(*args)

        monkeypatch.setattr(objects.objects, kind, dies)

    def killed() -> None:
        with objects.commit("d/s1") as mine:
            objects.write(f"{mine}/one", b"1")
            objects.write(f"{mine}/manifest.json", b"{}")

    for kind in ("put", "create", "delete"):
        killing(kind)
    with pytest.raises(Killed):
        killed()
    monkeypatch.undo()
    other = cast(ObjectStore, open_store(s3.settings(objects.root.split("/", 3)[3])))
    assert other.names("d/s1") in ([], ["manifest.json", "one"])

    for name in other.objects.list("d"):
        if name.startswith(staging.STAGING_PREFIX):
            age(s3, other, f"d/{name}")
    with other.commit("d/s1") as mine:
        other.write(f"{mine}/one", b"1")
        other.write(f"{mine}/manifest.json", b"{}")

    assert objects.names("d/s1") == other.names("d/s1") == ["manifest.json", "one"]
    assert [name for name in other.hidden("d") if name.startswith(staging.STAGING_PREFIX)] == []


def test_of_two_that_publish_at_the_same_moment_one_is_named(
    objects: ObjectStore, s3: S3Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = open_store(s3.settings(objects.root.split("/", 3)[3]))
    create = objects.objects.create

    def overtaken(path: str, data: bytes) -> bool:
        if path.endswith(attempts.ENTRY):
            with other.commit("d/s1") as theirs:
                other.write(f"{theirs}/theirs", b"1")
        return create(path, data)

    monkeypatch.setattr(objects.objects, "create", overtaken)
    with objects.commit("d/s1") as mine:
        objects.write(f"{mine}/mine", b"1")

    assert objects.names("d/s1") == other.names("d/s1") == ["theirs"]
    assert objects.hidden("d") == []


def test_a_suspended_writer_that_was_taken_for_dead_loses_cleanly(
    objects: ObjectStore, s3: S3Server
) -> None:
    def suspended() -> None:
        with objects.commit("d/s1") as mine:
            lease = mine.replace(attempts.DATA_PREFIX, staging.STAGING_PREFIX)
            objects.write(lease, ELSEWHERE)
            age(s3, objects, lease)
            objects.sweep("d")
            objects.write(lease, ELSEWHERE)  # its lease is renewed as it goes on
            objects.write(f"{mine}/manifest.json", b"{}")

    with pytest.raises(StoreUnavailable, match="Run the step again"):
        suspended()

    assert objects.names("d") == []
    assert objects.hidden("d") == []


def test_a_folder_that_another_machine_has_replaced_is_read_anew(
    objects: ObjectStore, s3: S3Server
) -> None:
    other = open_store(s3.settings(objects.root.split("/", 3)[3]))
    for store, text in ((objects, b"1"), (other, b"2")):
        with store.recommit("d/s1") as mine:
            store.write(f"{mine}/manifest.json", text)
        assert objects.read("d/s1/manifest.json") == text
    other.delete("d/s1")

    assert not objects.exists("d/s1/manifest.json")
    assert objects.names("d") == []


def test_what_a_killed_removal_left_is_deleted_after_a_day(
    objects: ObjectStore, s3: S3Server
) -> None:
    with objects.commit("d/s1") as mine:
        objects.write(f"{mine}/one", b"1")
    objects.objects.delete("d/s1")
    objects.sweep("d")
    assert objects.hidden("d") == [Path(mine).name]

    for name in ("one", attempts.SEAL):
        age(s3, objects, f"{mine}/{name}")
    objects.sweep("d")

    assert objects.hidden("d") == []


def test_a_folder_that_was_copied_here_is_read_and_stays(objects: ObjectStore) -> None:
    objects.write("d/s1/manifest.json", b"copied")

    with objects.commit("d/s1") as mine:
        objects.write(f"{mine}/manifest.json", b"{}")

    assert objects.read("d/s1/manifest.json") == b"copied"
    assert objects.hidden("d") == []


def test_a_live_lease_is_renewed(objects: ObjectStore, s3: S3Server) -> None:
    lease = "d/.staging-s1-0123456789abcdef"
    objects.write(lease, ELSEWHERE)
    age(s3, objects, lease)

    objects.set_modified(lease, time.time())

    assert objects.modified(lease) > LONG_AGO
    assert objects.read(lease) == ELSEWHERE


def test_a_server_that_creates_an_object_twice_is_refused(
    objects: ObjectStore, s3: S3Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(s3, "honours_conditions", False)

    with pytest.raises(SettingsError, match=r"does not honour `If-None-Match: .*set MEDLOOP_STORE"):
        objects.create("d/one", b"1")

    assert objects.names("d") == []

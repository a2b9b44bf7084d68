"""The same contract, kept by a folder, a real HDFS and a real S3 server."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from pipelines.errors import NotFound, SettingsError, StoreUnavailable
from pipelines.settings import Settings
from pipelines.storage import Store, open_store
from pipelines.storage.hdfs import HdfsStore
from pipelines.storage.local import LocalStore
from pipelines.storage.renaming import RenamingStore


def test_a_written_file_reads_back_identical(store: Store) -> None:
    store.write("a/b.bin", b"\x00\xffbytes")

    assert store.read("a/b.bin") == b"\x00\xffbytes"
    assert store.size("a/b.bin") == 7
    assert store.exists("a/b.bin")
    assert store.exists("a")


def test_writing_again_replaces(store: Store) -> None:
    store.write("a", b"long content")
    store.write("a", b"short")

    assert store.read("a") == b"short"


def test_a_large_file_goes_up_and_comes_back_whole(store: Store, tmp_path: Path) -> None:
    original = tmp_path / "original"
    original.write_bytes(bytes(range(256)) * 40_000)

    store.upload(original, "x/large.bin")
    store.download("x/large.bin", tmp_path / "deep" / "copy")

    assert (tmp_path / "deep" / "copy").read_bytes() == original.read_bytes()
    assert [p.name for p in (tmp_path / "deep").iterdir()] == ["copy"]


def test_names_are_sorted_and_leave_hidden_ones_out(store: Store) -> None:
    for name in ("b", "a", ".hidden", "_marker"):
        store.write(f"folder/{name}", b"")

    assert store.names("folder") == ["a", "b"]
    assert store.names("nowhere") == []


def test_names_with_spaces_and_umlauts_survive(store: Store) -> None:
    store.write("f/Röntgen Bild #1.json", b"{}")

    assert store.names("f") == ["Röntgen Bild #1.json"]
    assert store.read("f/Röntgen Bild #1.json") == b"{}"


def test_reading_what_is_not_there_names_it(store: Store) -> None:
    with pytest.raises(NotFound, match=r"nowhere\.json"):
        store.read("nowhere.json")
    with pytest.raises(NotFound, match=r"nowhere\.json"):
        store.size("nowhere.json")


def test_the_bytes_of_a_folder_are_those_of_its_files(store: Store) -> None:
    store.write("a/b", b"12")
    store.write("a/c/d", b"345")

    assert [store.bytes_below(path) for path in ("a", "a/b", "nothing")] == [5, 2, 0]
    assert not store.has_link("a/b")


def test_a_link_is_seen_wherever_it_is_on_the_way(local_store: LocalStore) -> None:
    local_store.write("a/b", b"1")
    (local_store.folder / "linked").symlink_to(local_store.folder / "a")

    assert local_store.has_link("linked/b")
    assert local_store.has_link("linked")


def test_deleting_takes_folders_whole_and_is_silent_about_nothing(store: Store) -> None:
    store.write("f/g/h", b"1")
    store.delete("f")
    store.delete("f")

    assert not store.exists("f/g/h")


def test_json_is_written_the_same_whatever_the_order(store: Store) -> None:
    store.write_json("a.json", {"b": 1, "a": [2]})
    store.write_json("b.json", {"a": [2], "b": 1})

    assert store.read("a.json") == store.read("b.json")
    assert store.read_json("a.json") == {"a": [2], "b": 1}


def test_a_commit_appears_all_at_once(store: Store) -> None:
    with store.commit("d/snapshots/s1") as staging:
        store.write(f"{staging}/one", b"1")
        store.write(f"{staging}/two", b"2")
        assert store.names("d/snapshots") == []

    assert store.names("d/snapshots") == ["s1"]
    assert store.names("d/snapshots/s1") == ["one", "two"]


def test_a_failed_commit_leaves_nothing(store: Store) -> None:
    def interrupted() -> None:
        with store.commit("d/s1") as staging:
            store.write(f"{staging}/one", b"1")
            raise RuntimeError("power cut")

    with pytest.raises(RuntimeError, match="power cut"):
        interrupted()

    assert store.names("d") == []
    assert store.hidden("d") == []


def test_of_two_commits_of_one_path_the_first_stays(store: Store) -> None:
    with store.commit("d/s1") as ours:
        store.write(f"{ours}/file", b"second")
        store.write("d/s1/file", b"first")

    assert store.read("d/s1/file") == b"first"
    assert store.names("d/s1") == ["file"]
    assert store.hidden("d") == []


def test_the_uri_names_the_store(store: Store) -> None:
    assert store.uri("a/b") == f"{store.root}/a/b"
    assert urlsplit(store.root).scheme in ("file", "hdfs", "s3")


def test_an_absent_namenode_is_said_with_its_address() -> None:
    store = HdfsStore("hdfs://127.0.0.1:9/x", webhdfs="http://127.0.0.1:9", user="u")

    with pytest.raises(StoreUnavailable, match=r"127\.0\.0\.1:9"):
        store.exists("a")


def test_a_store_of_another_kind_is_refused() -> None:
    for root in ("ftp://bucket", "s3:///folder"):
        with pytest.raises(SettingsError, match=f"{root}.*must begin with"):
            open_store(Settings(store=root))


def test_a_placed_file_is_there_whole_and_nothing_else(store: Store) -> None:
    store.place("a/b.bin", b"content")

    assert store.read("a/b.bin") == b"content"
    assert store.names("a") == [*store.hidden("a"), "b.bin"]


@pytest.mark.parametrize("store", ["local", "hdfs"], indirect=True)
def test_what_is_not_yet_placed_is_not_to_be_seen(
    store: RenamingStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    store.require_layout()
    seen: list[list[str]] = []
    rename = store.rename

    def look_and_rename(source: str, target: str) -> bool:
        seen.append(store.names("a"))
        return rename(source, target)

    monkeypatch.setattr(store, "rename", look_and_rename)
    store.place("a/b.bin", b"content")

    assert seen == [[]]
    assert store.names("a") == ["b.bin"]


def test_of_many_that_create_a_file_at_once_one_does(store: Store) -> None:
    contents = [f"writer {number}".encode() for number in range(8)]
    with ThreadPoolExecutor(8) as writers:
        created = list(writers.map(lambda content: store.create("line/1", content), contents))

    assert created.count(True) == 1
    assert store.read("line/1") == contents[created.index(True)]
    assert store.names("line") == ["1"]
    assert store.hidden("line") == []


def test_a_file_of_a_committed_folder_is_exchanged(store: Store, tmp_path: Path) -> None:
    with store.commit("d/s1") as mine:
        store.write(f"{mine}/part", b"old")
        store.write(f"{mine}/manifest.json", b"{}")
    (tmp_path / "new").write_bytes(b"new")

    store.exchange(tmp_path / "new", "d/s1/part")

    assert store.read("d/s1/part") == b"new"
    assert sorted(store.walk("d")) == ["d/s1/manifest.json", "d/s1/part"]
    with pytest.raises(NotFound, match="d/s1/other"):
        store.exchange(tmp_path / "new", "d/s1/other")

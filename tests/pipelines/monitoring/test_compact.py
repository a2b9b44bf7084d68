"""Small files become one, and every answer still counts once, whenever the merging is cut off."""

from datetime import date
from pathlib import Path

import pytest

from pipelines.monitoring import compact as compacting
from pipelines.monitoring.compact import compact
from pipelines.monitoring.served import files_of, merged_files, read_file
from pipelines.monitoring.windows import Cutter, Ledger
from pipelines.settings import Settings
from pipelines.storage.base import is_hidden
from pipelines.storage.hdfs import HdfsStore
from pipelines.storage.local import LocalStore
from tests.pipelines.monitoring.read_back import read_samples
from tests.pipelines.monitoring.samples import SECOND, write

DAY = date(2026, 3, 1)


def answers(store: LocalStore | HdfsStore) -> list[int]:
    requests = read_samples(store, "tiny", DAY)["request_id"].to_pylist()
    return sorted(int(request, 16) for request in requests)


def test_judged_files_of_each_model_become_one(local_store: LocalStore) -> None:
    judged = {write(local_store, range(n, n + 2), minutes=n) for n in (0, 2, 4)}
    judged |= {write(local_store, range(n, n + 2), SECOND) for n in (10, 12)}
    open_ = write(local_store, range(20, 22), minutes=9)
    assert compact(local_store, "tiny", DAY, judged=judged) == 5
    assert files_of(local_store, "tiny", DAY) == [open_]
    assert len(merged_files(local_store, "tiny", DAY)) == 2
    assert answers(local_store) == [*range(6), *range(10, 14), 20, 21]
    assert compact(local_store, "tiny", DAY, judged=judged) == 0


def test_merged_answers_are_not_judged_again(local_store: LocalStore) -> None:
    judged = {write(local_store, range(n, n + 2), minutes=n) for n in (0, 2)}
    compact(local_store, "tiny", DAY, judged=judged)
    cut = Cutter(local_store, "tiny", model=(1, "run-1"), ledger=Ledger(), today=DAY)
    assert cut.cut(2) is None


def test_large_files_are_not_merged_into_one_that_is_larger_than_a_block(
    local_store: LocalStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    judged = {write(local_store, range(n, n + 2), minutes=n) for n in range(0, 12, 2)}
    one = read_file(local_store, f"tiny/served/{DAY}/{min(judged)}")
    monkeypatch.setattr(compacting, "MERGED_BYTES", 2 * one.nbytes)
    compact(local_store, "tiny", DAY, judged=judged)
    assert len(merged_files(local_store, "tiny", DAY)) == 2
    assert answers(local_store) == list(range(12))


def test_a_merging_that_is_cut_off_counts_each_answer_once_and_is_ended_later(
    local_store: LocalStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    judged = {write(local_store, range(n, n + 2), minutes=n) for n in (0, 2, 4)}
    deleted: list[str] = []

    def killed(path: str) -> None:
        # Placing the merged file deletes its own staging file; that is not the step in question.
        if not is_hidden(path.rpartition("/")[2]):
            if deleted:
                raise KeyboardInterrupt
            deleted.append(path)
        LocalStore.delete(local_store, path)

    with monkeypatch.context() as patch:
        patch.setattr(local_store, "delete", killed)
        with pytest.raises(KeyboardInterrupt):
            compact(local_store, "tiny", DAY, judged=judged)
    assert len(files_of(local_store, "tiny", DAY)) == 2
    assert answers(local_store) == list(range(6))
    compact(local_store, "tiny", DAY, judged=judged)
    assert files_of(local_store, "tiny", DAY) == []
    assert answers(local_store) == list(range(6))


def test_a_reader_in_the_middle_of_a_merging_sees_each_answer_once(
    local_store: LocalStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    judged = {write(local_store, range(n, n + 2), minutes=n) for n in (0, 2, 4)}
    began = local_store.read

    def read(path: str) -> bytes:
        monkeypatch.undo()
        data = began(path)
        compact(local_store, "tiny", DAY, judged=judged)
        return data

    monkeypatch.setattr(local_store, "read", read)
    assert answers(local_store) == list(range(6))


def test_it_works_in_hdfs(hdfs: Settings, tmp_path: Path) -> None:
    root = f"{hdfs.store_root}/{tmp_path.name}"
    store = HdfsStore(root, webhdfs=hdfs.webhdfs, user=hdfs.hdfs_user)
    judged = {write(store, range(n, n + 2), minutes=n) for n in (0, 2)}
    assert compact(store, "tiny", DAY, judged=judged) == 2
    assert answers(store) == list(range(4))

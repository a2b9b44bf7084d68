"""Windows hold each answer once, whatever order, day or file it comes in."""

from datetime import date, timedelta

import numpy as np
import pytest

from pipelines.errors import StoreUnavailable
from pipelines.monitoring.compact import compact
from pipelines.monitoring.served import write_file
from pipelines.monitoring.windows import Cutter, Ledger
from pipelines.storage.hdfs import HdfsStore
from pipelines.storage.local import LocalStore
from stack.ports import find_free
from tests.pipelines.monitoring.samples import FIRST, NOON, SECOND, sample, write

DAY = date(2026, 3, 1)


def cutter(store: LocalStore, ledger: Ledger | None = None, *, today: date = DAY) -> Cutter:
    """Of the first model's answers."""
    ledger = ledger or Ledger()
    return Cutter(store, "tiny", model=(1, "run-1"), ledger=ledger, today=today)


def numbers(cut: Cutter, size: int) -> list[list[int]]:
    """The answers of each window there is."""
    found = []
    while window := cut.cut(size):
        found.append([int(one, 16) for one in window.table["request_id"].to_pylist()])
    return found


def test_windows_go_across_files_and_days_and_the_rest_waits(local_store: LocalStore) -> None:
    write(local_store, range(0, 5))
    write(local_store, range(5, 8), minutes=60)
    write(local_store, range(8, 15), minutes=24 * 60)
    cut = cutter(local_store, today=DAY + timedelta(days=1))
    assert numbers(cut, 4) == [[0, 1, 2, 3], [4, 5, 6, 7], [8, 9, 10, 11]]
    assert cut.waiting == 3


def test_a_run_goes_on_where_the_one_before_stopped(local_store: LocalStore) -> None:
    write(local_store, range(0, 10))
    first = cutter(local_store)
    window = first.cut(4)
    assert window
    assert numbers(cutter(local_store, window.ledger), 4) == [[4, 5, 6, 7]]
    assert numbers(cutter(local_store), 4) == [[0, 1, 2, 3], [4, 5, 6, 7]]


def test_what_waits_for_a_full_window_is_not_taken(local_store: LocalStore) -> None:
    write(local_store, range(0, 3))
    first = cutter(local_store)
    assert numbers(first, 4) == []
    write(local_store, range(3, 5), minutes=1)
    assert numbers(cutter(local_store, first.ledger), 4) == [[0, 1, 2, 3]]


def test_a_file_that_comes_late_goes_into_the_next_window(local_store: LocalStore) -> None:
    write(local_store, range(10, 18), minutes=30)
    first = cutter(local_store)
    assert numbers(first, 4) == [[10, 11, 12, 13], [14, 15, 16, 17]]
    write(local_store, range(0, 4), minutes=-30)
    write(local_store, range(4, 8), minutes=-24 * 60)
    assert numbers(cutter(local_store, first.ledger), 4) == [[4, 5, 6, 7], [0, 1, 2, 3]]


def test_another_model_s_answers_are_left_out_and_not_read_again(local_store: LocalStore) -> None:
    other = write(local_store, range(100, 110), SECOND)
    write(local_store, range(0, 3), minutes=1)
    cut = cutter(local_store)
    assert numbers(cut, 4) == []
    assert cut.ledger.done == (f"{DAY}/{other}",)


def test_a_picture_counts_once_in_a_window(local_store: LocalStore) -> None:
    probe = [sample(7, time=NOON)] * 20
    write_file(local_store, [*probe, *(sample(number, time=NOON) for number in range(10, 17))])
    assert numbers(cutter(local_store), 4) == [[7, 10, 11, 12], [13, 14, 15, 16]]


def test_an_answer_that_holds_no_numbers_is_left_out_and_told(
    local_store: LocalStore, caplog: pytest.LogCaptureFixture
) -> None:
    broken = sample(1)
    broken.features[2] = np.nan
    write_file(local_store, [sample(0), broken, sample(2)])
    assert numbers(cutter(local_store), 2) == [[0, 2]]
    assert "1 answers hold values that are no numbers" in caplog.text


def test_files_of_long_ago_are_not_looked_at(local_store: LocalStore) -> None:
    write(local_store, range(0, 4))
    assert numbers(cutter(local_store, today=DAY + timedelta(days=31)), 4) == []


def test_the_ledger_forgets_files_that_are_gone(local_store: LocalStore) -> None:
    name = write(local_store, range(0, 4))
    first = cutter(local_store)
    assert numbers(first, 4)
    local_store.delete(f"tiny/served/{DAY}/{name}")
    assert cutter(local_store, first.ledger).ledger == Ledger()


def test_a_damaged_file_is_left_out_and_the_others_are_judged_and_merged(
    local_store: LocalStore,
) -> None:
    write(local_store, range(0, 4))
    write(local_store, range(4, 8), minutes=60)
    damaged = f"tiny/served/{DAY}/0030-damaged.parquet"
    local_store.write(damaged, b"PAR1 cut off")
    cut = cutter(local_store)

    assert numbers(cut, 4) == [[0, 1, 2, 3], [4, 5, 6, 7]]
    names = {file.partition("/")[2] for file in cut.ledger.done} | {"0030-damaged.parquet"}
    assert compact(local_store, "tiny", DAY, judged=names) == 2
    assert local_store.exists(damaged)


def test_a_store_that_is_away_is_told_as_such() -> None:
    port = find_free("127.0.0.1")
    away = HdfsStore("hdfs://127.0.0.1:1/x", webhdfs=f"http://127.0.0.1:{port}", user="x")
    with pytest.raises(StoreUnavailable):
        Cutter(away, "tiny", model=(1, FIRST.run_id), ledger=Ledger(), today=DAY)

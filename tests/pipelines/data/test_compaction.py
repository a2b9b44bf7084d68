"""Small files of a table are merged, and nothing is lost or doubled."""

from concurrent.futures import ThreadPoolExecutor

import pyarrow as pa
import pytest

from pipelines.data import tables
from pipelines.data.rows import table_of
from pipelines.data.tables import Table, compact
from pipelines.stage import Context
from tests.pipelines.data.test_tables import Thing


@pytest.fixture
def table(context: Context, monkeypatch: pytest.MonkeyPatch) -> Table:
    """Five revisions of one row each; three small files are enough to be merged."""
    monkeypatch.setattr(tables, "MOST_SMALL", 3)
    found = Table.open(context, "pets", Thing)
    for number in range(1, 6):
        found.append(rows_of_revision(number), revision=number)
    return found


def rows_of_revision(number: int) -> pa.Table:
    return table_of([Thing(f"thing {number}", number, (), None)], Thing)


def names(table: Table, until: int | None = None) -> list[str]:
    return sorted(table.arrow(["name"], until=until)["name"].to_pylist())


def test_many_small_files_become_one_with_the_same_rows(table: Table) -> None:
    before = table.arrow(["name", "revision", "said", "weight"]).sort_by("name")

    assert compact(table) == 5
    assert len(table.parts()) == 1
    assert table.arrow(["name", "revision", "said", "weight"]).sort_by("name").equals(before)
    assert table.revision() == 5


def test_each_revision_is_as_it_was(table: Table) -> None:
    compact(table)

    assert names(table, until=2) == ["thing 1", "thing 2"]
    table.append(rows_of_revision(6), revision=6)
    assert names(table, until=5) == [f"thing {number}" for number in range(1, 6)]
    assert len(names(table)) == 6


def test_few_small_files_and_large_ones_are_left_alone(
    table: Table, monkeypatch: pytest.MonkeyPatch
) -> None:
    compact(table)
    assert compact(table) == 0  # one file is left

    monkeypatch.setattr(tables, "MOST_SMALL", 1)
    monkeypatch.setattr(tables, "SMALL_BYTES", 10)
    assert compact(table) == 0  # and it is larger than this


def test_of_two_at_once_one_merges_and_no_row_is_doubled(table: Table) -> None:
    with ThreadPoolExecutor(2) as pool:
        merged = sorted(pool.map(compact, [table, table]))

    assert merged == [0, 5]
    assert names(table) == [f"thing {number}" for number in range(1, 6)]


def test_nothing_is_merged_where_another_process_has_replaced_a_file(
    table: Table, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = table.parts()[0]
    read = Table.read

    def replaced_meanwhile(self: Table, parts: list[str]) -> object:
        rows = read(self, parts)
        self.replace([first], [])  # as an erasure does
        return rows

    monkeypatch.setattr(Table, "read", replaced_meanwhile)
    assert compact(table) == 0
    monkeypatch.undo()
    assert len(names(table)) == 4

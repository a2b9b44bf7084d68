"""Delta tables: commits that are whole or absent, and what others may find in the folder."""

import json
import os
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, ClassVar

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
from deltalake import DeltaTable

from pipelines.data import rows
from pipelines.data.rows import (
    Image,
    Int32,
    Member,
    Original,
    Refused,
    Row,
    ddl_of,
    rows_of,
    schema_of,
    table_of,
)
from pipelines.data.tables import RevisionTaken, Table
from pipelines.errors import LayoutError, NotFound, StoreUnavailable
from pipelines.settings import PROJECT
from pipelines.stage import Context
from pipelines.storage import Store, open_store
from pipelines.storage.hdfs import HdfsStore
from pipelines.storage.local import LocalStore
from tests.pipelines.storage.s3_server import credentials, s3_server
from tests.serving.certificates import make_certificate

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

PATIENT = "Doe^Jane"


@dataclass(frozen=True)
class Said:
    """Something nested."""

    path: Annotated[str, "where"]
    metadata: Annotated[dict[str, str], "what else"]


@dataclass(frozen=True)
class Thing(Row):
    """A row for tests."""

    table: ClassVar[str] = "things"

    name: Annotated[str, "of the ``thing``"]
    revision: Annotated[Int32, "number"]
    said: Annotated[tuple[Said, ...], "list"]
    weight: Annotated[float | None, "may be unknown"]
    best: Annotated[Said | None, "of them"] = None


def thing(name: str, revision: int = 1) -> Thing:
    return Thing(name, revision, (Said(PATIENT, {"age": "40"}),), None, Said("x", {}))


def things(*names: str, revision: int = 1) -> pa.Table:
    return table_of([thing(name, revision) for name in names], Thing)


def names(table: Table) -> list[str]:
    return sorted(table.arrow(["name"])["name"].to_pylist())


@pytest.fixture
def table(store: Store) -> Table:
    return Table(store, "d/tables/things", Thing)


@pytest.fixture
def local(local_store: LocalStore) -> Table:
    return Table(local_store, "d/tables/things", Thing)


def markdown_of(row: type) -> str:
    """The columns as a Markdown table, for the docs."""
    lines = ["| column | type | null | meaning |", "|---|---|---|---|"]
    for field in rows.schema_of(row):
        meaning = (field.metadata or {}).get(b"comment", b"").decode().replace("``", "`")
        null = "yes" if field.nullable else "no"
        lines.append(f"| {field.name} | {rows._sql(field.type)} | {null} | {meaning} |")
    return "\n".join(lines) + "\n"


def test_rows_come_back_as_they_were(local: Table) -> None:
    local.append(things("a", "b"))
    found = list(rows_of(local.arrow(schema_of(Thing).names), Thing))
    assert sorted(found, key=lambda one: one.name) == [thing("a"), thing("b")]


def test_nothing_is_created_before_the_first_rows(local: Table, context: Context) -> None:
    assert (local.revision(), local.files(), names(local), local.note()) == (0, [], [], "")
    assert local.store.names("") == []
    assert Table.open(context, "d", Thing, key="k").path == "d/tables/things/k"
    local.replace(["absent.parquet"], [])
    assert local.parts() == []


def test_of_writers_of_one_revision_one_succeeds_and_no_append_is_lost(table: Table) -> None:
    table.append(things("first"))

    def write(number: int, revision: int | None) -> bool:
        try:
            table.append(things(f"{revision}-{number}"), revision=revision)
        except RevisionTaken:
            return False
        return True

    with ThreadPoolExecutor(4) as pool:
        won = list(pool.map(partial(write, revision=1), range(4)))
        appended = list(pool.map(partial(write, revision=None), range(4)))
    assert (sum(won), sum(appended)) == (1, 4)
    assert names(table) == sorted(
        ["first", f"1-{won.index(True)}", *(f"None-{number}" for number in range(4))]
    )
    assert table.revision() == 1
    with pytest.raises(RevisionTaken, match="has revision 1"):
        table.append(things("late"), revision=1)


def test_a_writer_that_ends_before_its_commit_leaves_nothing_visible(table: Table) -> None:
    table.append(things("a"), revision=1, note="0001-a")
    part = table.write(things("b"))  # and killed
    assert names(table) == ["a"]
    assert table.write(things("b")) == part, "the second attempt writes the same file"
    for _ in range(2):
        table.register([part])
        commits = table.store.names(f"{table.path}/_delta_log")
    assert names(table) == ["a", "b"]
    assert len(commits) == 3, "created, a, b"
    assert (table.revision(), table.note()) == (1, "0001-a")


def test_files_are_replaced_in_one_commit(table: Table) -> None:
    table.append(things("a", "b"))
    table.append(things("c"))
    (old,) = (part for part in table.parts() if names_in(table, part) == ["a", "b"])
    table.replace([old], [table.write(things("b"))])
    assert names(table) == ["b", "c"]
    assert old not in table.parts()
    table.append(things("a", "b"))
    assert names(table) == ["a", "b", "b", "c"], "a file that was removed may be added again"


def names_in(table: Table, part: str) -> list[str]:
    content = table.store.read(f"{table.path}/{part}")
    return sorted(pq.read_table(pa.BufferReader(content))["name"].to_pylist())


def test_files_of_later_revisions_are_not_read(local: Table) -> None:
    local.append(things("a", revision=1), revision=1)
    local.append(things("b", revision=2), revision=2)
    (later,) = (part for part in local.parts() if names_in(local, part) == ["b"])
    local.store.delete(f"{local.path}/{later}")
    assert local.arrow(["name"], until=1)["name"].to_pylist() == ["a"]
    is_b = pc.field("name") == "b"
    assert local.arrow(["name"], until=1, where=is_b)["name"].to_pylist() == []
    with pytest.raises(NotFound, match="was deleted"):
        names(local)
    local.append(things("c", revision=3))  # without a statistic, as an erasure writes it
    assert local.arrow(["name"], until=1)["name"].to_pylist() == ["a"]


def test_large_tables_are_written_in_parts(local: Table, monkeypatch: pytest.MonkeyPatch) -> None:
    rows = things(*map(str, range(40)))
    monkeypatch.setattr("pipelines.data.tables.PART_BYTES", rows.nbytes // 4)
    local.append(rows)
    assert len(local.parts()) >= 4
    assert len(names(local)) == 40


def test_the_log_repeats_nothing_that_rows_say(local: Table) -> None:
    local.append(things("a"), revision=1)
    log = local.store.folder / local.path / "_delta_log"  # type: ignore[attr-defined]
    text = "".join(file.read_text() for file in log.iterdir())
    assert PATIENT not in text
    (add,) = (json.loads(line)["add"] for line in text.splitlines() if '"add"' in line)
    assert json.loads(add["stats"])["minValues"] == {"revision": 1}


def test_a_table_that_another_program_has_changed_is_refused(local: Table) -> None:
    properties = {"delta.enableDeletionVectors": "true"}
    DeltaTable.create(local.uri, schema_of(Thing), configuration=properties)
    with pytest.raises(LayoutError, match="needs reader version 3"):
        local.revision()


def test_a_store_that_does_not_answer_is_unavailable() -> None:
    gone = HdfsStore("hdfs://127.0.0.1:9/x", webhdfs="http://127.0.0.1:9", user="nobody")
    with pytest.raises(StoreUnavailable, match="cannot be reached"):
        Table(gone, "d/tables/things", Thing).revision()


def test_a_server_with_a_certificate_of_the_sites_own_authority_is_reached(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("SSL_CERT_FILE", "SSL_CERT_DIR"):  # set first, so that they are unset afterwards
        monkeypatch.setenv(name, "")
        monkeypatch.delenv(name)
    made = make_certificate(tmp_path, is_authority=False)
    with s3_server((str(made.cert), str(made.key))) as server, credentials():
        settings = server.settings("tls", home=tmp_path, store_ca_bundle=made.cert)
        table = Table(open_store(settings), "d/tables/things", Thing)
        table.append(things("a"))
        assert names(table) == ["a"]


def test_a_fork_of_a_process_that_used_tables_is_refused(local: Table) -> None:
    local.append(things("a"))
    child = os.fork()
    if child == 0:
        try:
            names(local)
        except RuntimeError as error:
            os._exit(7 if "`spawn`" in str(error) else 1)
        os._exit(0)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 7


def test_spark_reads_the_files_without_a_delta_reader(
    local: Table, context: Context, spark: "SparkSession"
) -> None:
    assert local.frame(spark, context, ["name"]).collect() == []
    local.append(things("a"))
    (row,) = local.frame(spark, context, ["name", "said", "best"]).collect()
    assert (row["name"], row["said"][0]["metadata"]) == ("a", {"age": "40"})
    assert row["best"]["path"] == "x"


def test_the_schema_is_that_of_the_row_type() -> None:
    said = "struct<path: string, metadata: map<string, string>>"
    required = ["`name` string", "`revision` int", f"`said` array<{said}>"]
    columns = [*(f"{column} NOT NULL" for column in required), "`weight` double", f"`best` {said}"]
    assert ddl_of(Thing) == ", ".join(columns)
    assert "| name | string | no | of the `thing` |" in markdown_of(Thing)
    with pytest.raises((pa.ArrowInvalid, ValueError)):
        things("a").set_column(0, "name", pa.array([None], pa.string())).cast(schema_of(Thing))


def test_the_page_shows_the_columns() -> None:
    page = (PROJECT / "docs/decisions/image-table.md").read_text("utf-8")
    for row in (Original, Image, Refused, Member):
        assert markdown_of(row) in page, row.table

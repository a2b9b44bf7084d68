"""The table ``splits``: what a split appends, and what each split finds in it later."""

from typing import Any

import pandas as pd
import pytest

from pipelines.data.rows import Member
from pipelines.data.split import members, split
from pipelines.data.tables import RevisionTaken, Table
from pipelines.errors import NotFound
from pipelines.stage import MANIFEST, Context
from tests.pipelines.data.recorded import members_of, record_split
from tests.pipelines.data.small_collection import images, small_spec, snapshotted

Row = dict[str, Any]


def row(name: str, part: str | None = "train", **changes: Any) -> Row:
    return {
        "sha256": name,
        "source_path": f"{name}.png",
        "label": "a",
        "cluster": name,
        "source": 1,
        "split": part,
        "excluded": None if part else "leak",
    } | changes


def stored(context: Context) -> pd.DataFrame:
    columns = ["sha256", "revision", "split", "excluded", *members.SINCE]
    frame: pd.DataFrame = Table.open(context, "pets", Member).arrow(columns).to_pandas()
    return frame.sort_values(["revision", "sha256"], ignore_index=True)


def parts(context: Context, path: str) -> dict[str, str | None]:
    return {row["sha256"]: row["split"] for row in members_of(context, path)}


def test_a_split_appends_what_it_changes_and_earlier_ones_stay(context: Context) -> None:
    first = record_split(context, "pets/splits/a", [row("1"), row("2", "test"), row("3")])
    second = record_split(
        context, "pets/splits/b", [row("1", "validation"), row("2", "test"), row("4", "test")]
    )
    third = record_split(
        context, "pets/splits/c", [row("1", "validation"), row("2", None), row("3")]
    )

    assert [one.revision for one in (first, second, third)] == [1, 2, 3]
    found = stored(context)
    assert found.groupby("revision")["sha256"].apply("".join).tolist() == ["123", "134", "234"]
    assert parts(context, "pets/splits/a") == {"1": "train", "2": "test", "3": "train"}
    assert parts(context, "pets/splits/b") == {"1": "validation", "2": "test", "4": "test"}
    assert parts(context, "pets/splits/c") == {"1": "validation", "2": None, "3": "train"}
    newest = members.newest_rows(Table.open(context, "pets", Member), until=3).set_index("sha256")
    assert newest["excluded"].to_dict() == {"1": None, "2": "leak", "3": None, "4": members.REMOVED}
    assert newest["first_test"].dropna().to_dict() == {"2": 1, "4": 2}, (
        "also of what does not exist"
    )
    assert newest["first_training"].dropna().to_dict() == {"1": 1, "3": 1}


def test_a_split_that_changes_nothing_appends_nothing(context: Context) -> None:
    rows = [row("1"), row("2", "test"), row("3", None, source=None)]
    first = record_split(context, "pets/splits/a", rows)
    assert record_split(context, "pets/splits/b", rows[::-1]).revision == first.revision == 1
    assert parts(context, "pets/splits/a") == parts(context, "pets/splits/b")


def test_copies_share_what_was_done_with_the_image(context: Context) -> None:
    copy = row("1", None, source_path="copy.png", excluded="duplicate")
    record_split(context, "pets/splits/a", [row("1", "test"), copy])
    assert stored(context)["first_test"].tolist() == [1, 1]


def test_a_split_that_is_gone_is_said(context: Context) -> None:
    with pytest.raises(
        NotFound, match=r"pets/splits/none does not exist\. Split its snapshot again"
    ):
        members.members(context, "pets/splits/none", ["sha256"])


def test_of_two_processes_that_divide_at_once_both_are_right(
    context: Context, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = [one | {"thumbnail": bytes([n]) * 1024} for n, one in enumerate(images(40))]
    snapshot = snapshotted(context, rows)
    append = members.append
    others = iter([small_spec(split={"seed": 3})])

    def meanwhile(*arguments: Any, **named: Any) -> int:
        for other in others:
            split.run(other, context, snapshot)
        return append(*arguments, **named)

    monkeypatch.setattr(members, "append", meanwhile)
    done = split.run(small_spec(), context, snapshot)

    assert done.revision == 2
    (theirs,) = {f"small/splits/{n}" for n in context.store.names("small/splits")} - {done.path}
    first, second = (parts(context, path) for path in (theirs, done.path))
    assert first != second
    tests = [{name for name, part in of.items() if part == "test"} for of in (first, second)]
    assert tests[0] == tests[1], "the second has seen the first"


def test_a_split_that_was_killed_before_its_manifest_goes_on(context: Context) -> None:
    rows = [one | {"thumbnail": bytes([n]) * 1024} for n, one in enumerate(images(40))]
    snapshot = snapshotted(context, rows)
    done = split.run(small_spec(), context, snapshot)
    context.store.delete(f"{done.path}/{MANIFEST}")
    context.store.delete(done.path)
    assert split.run(small_spec(), context, snapshot) == done


def test_a_revision_that_is_taken_is_not_written_twice(context: Context) -> None:
    record_split(context, "pets/splits/a", [row("1")])
    table = Table.open(context, "pets", Member)
    nothing = members.newest_rows(table, until=0)
    with pytest.raises(RevisionTaken):
        members.append(table, pd.DataFrame([row("2")]), nothing, revision=0)

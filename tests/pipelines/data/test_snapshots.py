"""The line of snapshots: numbers are compared as numbers, and each belongs to one snapshot."""

from pipelines.data.snapshots import claim, confirmed, in_order, latest, name_after, require
from pipelines.outputs import Snapshot
from pipelines.stage import MANIFEST, Context


def committed(context: Context, identity: str) -> Snapshot:
    path = f"pets/snapshots/{identity}"
    snapshot = Snapshot(
        dataset="pets", id=identity, path=path, images=1, added=1, parent=None, quarantine=None
    )
    context.store.write_json(f"{path}/{MANIFEST}", {"output": snapshot.model_dump()})
    return snapshot


def test_snapshot_10000_comes_after_9999(context: Context) -> None:
    old = committed(context, "9999-f")
    assert latest(context, "pets") == old
    identity = name_after(old, [], [])
    assert identity.startswith("10000-")
    new = committed(context, identity)
    assert latest(context, "pets") == new == require(context, "pets")
    assert name_after(new, [], []).startswith("10001-")
    assert in_order(["10000-a", "9999-f", "0002-c"]) == ["0002-c", "9999-f", "10000-a"]


def test_a_number_belongs_to_the_snapshot_that_claims_it_first(context: Context) -> None:
    ours, theirs = committed(context, "0002-b"), committed(context, "0002-a")
    assert claim(context, ours)
    assert claim(context, ours), "again"
    assert not claim(context, theirs)
    assert latest(context, "pets") == confirmed(context, "pets") == ours


def test_the_number_of_a_snapshot_that_was_removed_by_hand_is_free(context: Context) -> None:
    assert claim(context, committed(context, "0002-b"))
    context.store.delete("pets/snapshots/0002-b")
    other = committed(context, "0002-a")
    assert confirmed(context, "pets") == other
    assert claim(context, other)

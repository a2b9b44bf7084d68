"""Who tests: stable under growth, whatever the deliveries. Who validates: a share of each class."""

import random
from typing import Any

import pandas as pd
import pytest

from pipelines.data.split.division import decide, draw, number_of
from pipelines.spec import SplitSpec

DECIDED = ("split", "excluded")
SHARES = SplitSpec(test=0.2, validation=0.1)


def images(clusters: int, size: int = 1, label: str = "a") -> pd.DataFrame:
    names = [f"{label}{n:04}" for n in range(clusters) for _ in range(size)]
    return pd.DataFrame({"cluster": names, "label": label})


def files(given: pd.DataFrame, **columns: Any) -> pd.DataFrame:
    """Files of images, none of a known patient."""
    given = given.reset_index(drop=True)
    names = [f"{cluster}-{n}" for n, cluster in enumerate(given["cluster"])]
    return given.assign(sha256=names, group=None, declared_split=None).assign(**columns)


def sizes(given: pd.DataFrame, chosen: set[str]) -> int:
    return int(given["cluster"].isin(chosen).sum())


@pytest.mark.parametrize("size", [1, 3, 10])
def test_each_class_is_drawn_by_the_share(size: int) -> None:
    given = pd.concat([images(600 // size, size), images(60, label="b")])
    chosen = draw(given, 0.1, seed=1)
    for label, count in (("a", 600), ("b", 60)):
        found = sizes(given[given["label"] == label], chosen)
        assert found == pytest.approx(0.1 * count, abs=size / 2)


def test_the_order_of_images_does_not_matter() -> None:
    given = pd.concat([images(50, 2), images(20, label="b")])
    assert draw(given, 0.1, seed=1) == draw(given.sample(frac=1, random_state=1), 0.1, seed=1)


def test_another_seed_draws_others() -> None:
    assert draw(images(100), 0.1, seed=1) != draw(images(100), 0.1, seed=2)


def test_few_change_sides_when_data_grows() -> None:
    before = draw(images(1000), 0.15, seed=1)
    after = draw(images(1100), 0.15, seed=1)
    assert len(before - after) < 60


def test_a_class_of_two_large_groups_still_gets_one_in_each_part() -> None:
    assert len(draw(images(2, 10), 0.1, seed=1)) == 1


def test_one_large_group_does_not_swallow_the_validation_set() -> None:
    small = images(100).assign(cluster=lambda table: "z" + table["cluster"])
    given = pd.concat([images(1, 500), small])
    for seed in range(10):
        assert "a0000" not in draw(given, 0.1, seed=seed)


def test_the_shares_are_kept_where_clusters_are_single_images() -> None:
    given = files(pd.concat([images(3000), images(1000, label="b")]))
    decide(given, SHARES)
    for _, of_class in given.groupby("label"):
        found = of_class["split"].value_counts(normalize=True)
        assert found["test"] == pytest.approx(0.2, abs=0.03)
        assert found["validation"] == pytest.approx(0.1, abs=0.01)


def test_a_patient_is_drawn_once_however_many_images_there_are() -> None:
    given = images(400, 20)
    given = files(given, group=given["cluster"].to_list())
    decide(given, SHARES)
    assert (given["split"] == "test").mean() == pytest.approx(0.2, abs=0.05)


def test_a_class_without_a_test_image_takes_its_lowest_number() -> None:
    given = files(pd.concat([images(200), images(4, label="b")]))
    decide(given, SplitSpec(test=0.001))
    lowest = min((number_of(17, name), name) for name in given.loc[given["label"] == "b", "sha256"])
    assert given.loc[given["split"] == "test", "sha256"].tolist().count(lowest[1]) == 1
    assert (given[given["label"] == "b"]["split"] == "test").sum() == 1


Used = dict[str, set[str]]


def history(used: Used) -> pd.DataFrame:
    names = sorted(used["test"] | used["train"])
    first = {
        "first_test": [1 if name in used["test"] else None for name in names],
        "first_training": [1 if name in used["train"] else None for name in names],
    }
    return pd.DataFrame(first, index=names, dtype="Int32")


def delivered(order: list[list[int]], world: pd.DataFrame, shares: SplitSpec) -> list[pd.DataFrame]:
    """What is decided after each delivery; clusters grow together as in ``linked``."""
    used: Used = {"test": set(), "train": set()}
    there: list[int] = []
    found = []
    for delivery in order:
        there += delivery
        rows = world.iloc[sorted(there)].reset_index(drop=True)
        rows["cluster"] = linked(rows)
        decide(rows, shares, history(used))
        used["test"] |= set(rows.loc[rows["split"] == "test", "sha256"])
        used["train"] |= set(rows.loc[rows["split"].isin(["train", "validation"]), "sha256"])
        found.append(rows)
    return found


def linked(rows: pd.DataFrame) -> list[str]:
    """The cluster of each image: linked by patient, or to the next image by likeness."""
    parent = {node: node for node in [*rows["sha256"], *rows["group"].dropna(), *rows["chain"]]}

    def root(node: str) -> str:
        while parent[node] != node:
            node = parent[node]
        return node

    for row in rows.itertuples():
        for other in (row.group, row.chain):
            if isinstance(other, str):
                parent[root(str(row.sha256))] = root(other)
    least: dict[str, str] = {}
    for name in sorted(rows["sha256"]):
        least.setdefault(root(name), name)
    return [least[root(name)] for name in rows["sha256"]]


def world(seed: int, *, count: int = 240) -> pd.DataFrame:
    """Images of patients, of unknown patients, and near duplicates that link both."""
    drawn = random.Random(seed)
    return pd.DataFrame(
        {
            "sha256": [f"{seed}-{n:03}" for n in range(count)],
            "group": [
                f"p{drawn.randrange(60)}" if drawn.random() < 0.5 else None for _ in range(count)
            ],
            "chain": [f"c{drawn.randrange(count)}" for _ in range(count)],
            "label": [drawn.choice("aab") for _ in range(count)],
            "declared_split": None,
            "source": 0,
        }
    )


def partition(seed: int, count: int) -> list[list[int]]:
    drawn = random.Random(seed)
    order = drawn.sample(range(count), count)
    cuts = sorted(drawn.sample(range(40, count), drawn.randrange(1, 12)))
    return [order[a:b] for a, b in zip([0, *cuts], [*cuts, count], strict=True)]


@pytest.mark.parametrize("seed", range(12))
def test_however_images_are_delivered(seed: int) -> None:
    given = world(seed)
    (whole,) = delivered([list(range(len(given)))], given, SHARES)
    found = delivered(partition(seed, len(given)), given, SHARES)

    tests: set[str] = set()
    for rows in found:
        now = set(rows.loc[rows["split"] == "test", "sha256"])
        assert tests <= now, "once test, always test"
        tests = now
        touched = rows["cluster"].isin(rows.loc[rows["split"] == "test", "cluster"])
        assert not (touched & rows["split"].isin(["train", "validation"])).any()
        assert set(rows.loc[rows["split"] == "test", "label"]) == {"a", "b"}
    last = found[-1]
    learns, learnt = (
        set(rows.loc[rows["split"].isin(["train", "validation"]), "sha256"])
        for rows in (last, whole)
    )
    assert learns == learnt, "the same set trains"
    leaks = set(last.loc[last["excluded"] == "leak", "sha256"])
    assert tests | leaks == set(whole.loc[whole["split"] == "test", "sha256"])
    parts = [rows.set_index("sha256")["split"] for rows in (last, whole)]
    assert {n for n in learns if parts[0][n] == "validation"} == {
        n for n in learns if parts[1][n] == "validation"
    }


def test_what_has_trained_becomes_a_leak_where_its_cluster_comes_to_test() -> None:
    old, new = "old", next(f"n{n}" for n in range(99) if number_of(17, f"n{n}") < 0.15)
    given = files(images(60))
    given = pd.concat(
        [given, pd.DataFrame({"sha256": [old, new], "cluster": "both", "label": "a"})],
        ignore_index=True,
    ).assign(declared_split=None)
    before = given[given["sha256"] != new].reset_index(drop=True)
    assert number_of(17, old) >= 0.15
    decide(before, SplitSpec())
    assert before["split"].iloc[-1] in ("train", "validation")
    decide(given, SplitSpec(), history({"test": set(), "train": {old}}))
    assert given[["split", "excluded"]].iloc[-2].tolist() == [None, "leak"]
    assert given["split"].iloc[-1] == "test"


def test_another_seed_or_share_concerns_new_patients_only() -> None:
    patients = images(400)["cluster"].to_list()
    before = files(images(400), group=patients)
    decide(before, SHARES)
    used = {
        "test": set(before.loc[before["split"] == "test", "sha256"]),
        "train": set(before.loc[before["split"] != "test", "sha256"]),
    }
    again = before.assign(sha256=lambda rows: rows["sha256"] + " again")
    after = pd.concat([before, again, files(images(400, label="b"))], ignore_index=True)
    decide(after, SplitSpec(test=0.4, seed=3), history(used))
    assert not after["excluded"].notna().any()
    tests = (after["split"] == "test").to_numpy()
    assert set(after.loc[:399, "sha256"][tests[:400]]) == used["test"]
    assert (tests[:400] == tests[400:800]).all(), "new images of a patient go with the old ones"
    assert tests[800:].mean() == pytest.approx(0.4, abs=0.08)


def test_what_was_drawn_stays_when_a_test_folder_comes() -> None:
    given = files(images(50))
    given.loc[[1, 2], ["cluster", "declared_split"]] = ["late", "test"]
    given.loc[3, "cluster"] = "late"
    decide(given, SplitSpec(), history({"test": {"a0000-0"}, "train": {"a0001-1"}}))
    assert set(given.loc[given["split"] == "test"].index) == {0, 1, 2}
    assert given.loc[3, "excluded"] == "leak"


def test_a_test_image_stays_although_its_class_or_the_share_changes() -> None:
    given = files(images(50))
    given.loc[0, "label"] = "b"
    decide(given, SplitSpec(test=0.001), history({"test": {"a0000-0"}, "train": {"a0001-1"}}))
    assert given.loc[0, "split"] == "test"
    moved = files(images(50), declared_split="train")
    decide(moved, SplitSpec(), history({"test": {"a0000-0"}, "train": {"a0001-1"}}))
    assert moved.loc[0, "split"] == "test"
    conflict = files(images(50))
    conflict.loc[1, ["sha256", "label"]] = ["a0000-0", "b"]
    decide(conflict, SplitSpec(), history({"test": {"a0000-0"}, "train": set()}))
    assert conflict["excluded"].iloc[:2].tolist() == ["label_conflict"] * 2


def decided(*rows: dict[str, Any]) -> list[tuple[str | None, ...]]:
    """Split and exclusion of rows that differ from a common training image as they say."""
    filler = [
        {"sha256": f"f{n}{label}", "cluster": f"f{n}{label}", "label": label}
        for n in range(10)
        for label in "ab"
    ]
    table = pd.DataFrame([*rows, *filler])
    table = table.assign(group=None)
    table["source_path"] = [f"{n:03}" for n in range(len(table))]
    decide(table, SplitSpec())
    found = table.iloc[: len(rows)].to_dict("records")
    return [tuple(None if pd.isna(row[k]) else row[k] for k in DECIDED) for row in found]


def row(sha256: str, cluster: str, label: str = "a", split: str | None = None) -> dict[str, Any]:
    return {"sha256": sha256, "cluster": cluster, "label": label, "declared_split": split}


def test_the_collections_test_set_is_kept_and_leaks_leave_training() -> None:
    test, leak, new, other = decided(
        row("1", "c", split="test"),
        row("2", "c", split="train"),
        row("3", "c"),
        row("4", "d", split="train"),
    )
    assert test == ("test", None)
    assert leak == new == (None, "leak")
    assert other[0] in ("train", "validation")


def test_no_test_set_is_drawn_beside_the_collections_own() -> None:
    rows = [row(str(n), str(n), split="train") for n in range(50)]
    parts = {split for split, _ in decided(row("t", "t", split="test"), *rows)}
    assert parts == {"test", "train", "validation"}
    assert [split for split, _ in decided(row("t", "t", split="test"), *rows)].count("test") == 1


def test_the_collections_validation_set_is_kept_and_training_gives_way_to_it() -> None:
    kept, leak, tested, test, *rest = decided(
        row("1", "c", split="validation"),
        row("2", "c", split="train"),
        row("3", "t", split="validation"),
        row("4", "t", split="test"),
        *(row(f"r{n}", f"r{n}", split="train") for n in range(40)),
    )
    assert kept == ("validation", None)
    assert leak == (None, "leak")
    assert (test, tested) == (("test", None), (None, "leak")), "the test set comes first"
    assert set(rest) == {("train", None)}, "none is drawn beside the collection's own"


def test_a_test_set_is_drawn_beside_the_collections_validation_set() -> None:
    rows = [row(str(n), str(n), split="train") for n in range(50)]
    parts = [split for split, _ in decided(row("v", "v", split="validation"), *rows)]
    assert parts.count("validation") == 1
    assert parts.count("test") == 6, "of 50 images, each by its number"


def test_a_copy_counts_once_in_its_split() -> None:
    one, two, test, again, leak = decided(
        row("1", "c", split="train"),
        row("1", "c", split="train"),
        row("2", "d", split="test"),
        row("2", "d", split="test"),
        row("2", "d", split="train"),
    )
    assert one[0] in ("train", "validation")
    assert two == (None, "duplicate")
    assert (test, again, leak) == (("test", None), (None, "duplicate"), (None, "leak"))


def test_bytes_under_two_labels_are_left_out_wherever_they_stand() -> None:
    found = decided(
        row("1", "c", "a", split="test"),
        row("1", "c", "b", split="train"),
        row("2", "c", "a", split="train"),
    )
    assert found[:2] == [(None, "label_conflict")] * 2
    assert found[2][0] in ("train", "validation"), "what nobody tests cannot leak"

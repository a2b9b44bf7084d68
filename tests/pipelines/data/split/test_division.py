from typing import Any

import pandas as pd
import pytest

from pipelines.data.split.division import decide, divide
from pipelines.spec import SplitSpec

DECIDED = ("split", "excluded")
SHARES = {"test": 0.2, "validation": 0.1}


def images(clusters: int, size: int = 1, label: str = "a") -> pd.DataFrame:
    names = [f"{label}{n:04}" for n in range(clusters) for _ in range(size)]
    return pd.DataFrame({"cluster": names, "label": label})


def sizes(given: pd.DataFrame, part: "pd.Series[str]") -> dict[str, int]:
    counts = given["cluster"].map(part).value_counts()
    return {str(name): int(count) for name, count in counts.items()}


@pytest.mark.parametrize("size", [1, 3, 10])
def test_each_class_is_divided_by_the_shares(size: int) -> None:
    given = pd.concat([images(600 // size, size), images(60, label="b")])
    part = divide(given, SHARES, seed=1)
    for label, count in (("a", 600), ("b", 60)):
        found = sizes(given[given["label"] == label], part)
        assert found["test"] == pytest.approx(0.2 * count, abs=size / 2)
        assert found["validation"] == pytest.approx(0.1 * count, abs=size / 2)


def test_the_order_of_images_does_not_matter() -> None:
    given = pd.concat([images(50, 2), images(20, label="b")])
    shuffled = given.sample(frac=1, random_state=1)
    assert divide(given, SHARES, seed=1).to_dict() == divide(shuffled, SHARES, seed=1).to_dict()


def test_another_seed_divides_otherwise() -> None:
    given = images(100)
    assert divide(given, SHARES, seed=1).to_dict() != divide(given, SHARES, seed=2).to_dict()


def test_few_change_sides_when_data_grows() -> None:
    before = divide(images(1000), SHARES, seed=1)
    after = divide(images(1100), SHARES, seed=1)
    assert (after[before.index] != before).mean() < 0.06


def test_a_class_of_three_large_groups_still_gets_one_in_each_part() -> None:
    assert sorted(divide(images(3, 10), SHARES, seed=1)) == ["test", "train", "validation"]


def test_one_large_group_does_not_swallow_the_test_set() -> None:
    given = pd.concat(
        [images(1, 500), images(100, label="a").assign(cluster=lambda t: "z" + t.cluster)]
    )
    for seed in range(10):
        part = divide(given, SHARES, seed=seed)
        assert part["a0000"] == "train"
        assert sizes(given, part)["test"] <= 100


def test_a_cluster_of_two_classes_goes_as_one() -> None:
    mixed = pd.DataFrame({"cluster": ["m"] * 3, "label": ["a", "b", "b"]})
    given = pd.concat([images(10), images(10, label="b"), mixed])
    assert divide(given, SHARES, seed=1).index.is_unique


def decided(*rows: dict[str, Any]) -> list[tuple[str | None, ...]]:
    """Split and exclusion of rows that differ from a common training image as they say."""
    filler = [
        {"sha256": f"f{n}{label}", "cluster": f"f{n}{label}", "label": label}
        for n in range(10)
        for label in "ab"
    ]
    table = pd.DataFrame([*rows, *filler])
    if "declared_split" not in table:
        table["declared_split"] = None
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
    assert parts.count("test") in (7, 8)


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

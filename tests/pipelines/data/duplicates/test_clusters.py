import pandas as pd

from pipelines.data.duplicates.clusters import clusters

NO_PAIRS: list[tuple[int, int]] = []


def joined(groups: dict[str, str | None], pairs: list[tuple[int, int]]) -> list[set[str]]:
    """The clusters of images ``a``, ``b`` … as sets, given their groups and pairs by position."""
    rows = pd.DataFrame({"sha256": list(groups), "group": list(groups.values())})
    images = rows.drop_duplicates("sha256", ignore_index=True)
    found = clusters(images, rows, pd.DataFrame(pairs, columns=["first", "second"]))
    return [set(found.index[found == name]) for name in sorted(found.unique())]


def test_images_that_share_nothing_stay_alone() -> None:
    assert joined({"a": None, "b": None, "c": "p"}, NO_PAIRS) == [{"a"}, {"b"}, {"c"}]


def test_groups_and_copies_join_by_way_of_others() -> None:
    groups = {"a": "p", "b": "p", "c": None, "d": "q", "e": "q"}
    assert joined(groups, [(1, 2)]) == [{"a", "b", "c"}, {"d", "e"}]
    assert joined(groups, [(1, 2), (2, 3)]) == [{"a", "b", "c", "d", "e"}]


def test_a_file_of_several_groups_joins_them() -> None:
    rows = pd.DataFrame({"sha256": ["a", "b", "b", "c"], "group": ["p", "p", "q", "q"]})
    images = rows.drop_duplicates("sha256", ignore_index=True)
    found = clusters(images, rows, pd.DataFrame(NO_PAIRS, columns=["first", "second"]))
    assert found.nunique() == 1


def test_a_cluster_is_named_by_the_least_hash_in_it() -> None:
    rows = pd.DataFrame({"sha256": ["0" * 64, "1" * 64], "group": ["p", "p"]})
    found = clusters(rows, rows, pd.DataFrame(NO_PAIRS, columns=["first", "second"]))
    assert found.tolist() == ["0" * 16, "0" * 16]

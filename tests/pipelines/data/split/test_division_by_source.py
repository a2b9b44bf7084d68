"""Validation made of whole sources."""

import pandas as pd
import pytest

from pipelines.data.split.division import decide, sparse_classes, validation_clusters
from pipelines.spec import SplitSpec

BY_SOURCE = SplitSpec(validation_by="source")


def files(*sources: tuple[int, str, int]) -> pd.DataFrame:
    """So many images of a source and class, each in a cluster of its own."""
    rows = [(s, label, f"{s}{label}{n:03}") for s, label, count in sources for n in range(count)]
    made = pd.DataFrame(rows, columns=["source", "label", "cluster"])
    return made.assign(sha256=made["cluster"], declared_split="train", group=None)


def test_the_sources_that_come_closest_to_the_share_validate() -> None:
    images = files((1, "a", 70), (1, "b", 70), (2, "a", 14), (2, "b", 16), (3, "a", 16))
    chosen = validation_clusters(images, 0.15)
    assert set(images.loc[images["cluster"].isin(chosen), "source"]) == {2}


def test_no_source_is_cut_in_two() -> None:
    images = files(*((s, label, 10 + s) for s in range(1, 8) for label in "ab"))
    decide(images, BY_SOURCE)
    learnt = images[images["split"].isin(["train", "validation"])]
    assert (learnt.groupby("source")["split"].nunique() == 1).all()
    assert 0.08 < (learnt["split"] == "validation").mean() < 0.22


def test_groups_are_drawn_where_a_class_has_one_source_only() -> None:
    images = files((1, "a", 200), (2, "b", 150), (3, "b", 30))
    decide(images, SplitSpec(validation_by="source", test=0.01))
    held = images[images["split"] == "validation"]
    assert set(held.loc[held["label"] == "b", "source"]) == {3}
    assert (held["label"] == "a").sum() == pytest.approx(30, abs=2)


def test_a_cluster_of_copies_goes_with_most_of_its_images() -> None:
    images = files((1, "a", 80), (2, "a", 15))
    images.loc[images.index[:2], "cluster"] = images.loc[images.index[-1], "cluster"]
    decide(images, SplitSpec(validation_by="source", test=0.01))
    assert (images.groupby("cluster")["split"].nunique() <= 1).all()


def test_a_class_held_well_is_not_sparse() -> None:
    images = files((1, "a", 50), (1, "b", 50))
    chosen = set(images.loc[images["label"] == "a", "cluster"][:6])
    assert sparse_classes(images, chosen, 0.12) == ["b"]


def test_one_source_alone_is_divided_by_groups() -> None:
    images = files((1, "a", 100), (1, "b", 100))
    by_source, by_group = images.copy(), images.copy()
    decide(by_source, BY_SOURCE)
    decide(by_group, SplitSpec())
    assert (by_source["split"] == "validation").sum() == pytest.approx(
        (by_group["split"] == "validation").sum(), abs=8
    )


def test_the_order_of_images_does_not_matter() -> None:
    images = files(*((s, label, 10 + s) for s in range(1, 6) for label in "ab"))
    shuffled = images.sample(frac=1, random_state=3)
    assert validation_clusters(images, 0.2) == validation_clusters(shuffled, 0.2)

from itertools import pairwise

import pandas as pd
import pytest

from pipelines.data.prepare.sharding import SHARD_BYTES, ShardLayout, plan_shards


def listed(train: int, validation: int = 3, test: int = 2) -> pd.DataFrame:
    splits = ["train"] * train + ["validation"] * validation + ["test"] * test
    return pd.DataFrame(
        {
            "sha256": [f"{n:064x}" for n in range(len(splits))],
            "source_path": [f"{n}.png" for n in range(len(splits))],
            "split": splits,
        }
    )


def order(plan: pd.DataFrame) -> list[str]:
    return plan.sort_values(["shard", "position"])["source_path"].tolist()


def test_every_image_has_one_place() -> None:
    plan = plan_shards(listed(100), seed=1, shard_rows=7)
    assert sorted(plan["source_path"]) == sorted(listed(100)["source_path"])
    assert not plan.duplicated(["split", "position"]).any()


@pytest.mark.parametrize("rows", [1, 7, 8, 100, 101])
def test_shards_differ_by_one_image_at_most_and_none_is_too_large(rows: int) -> None:
    sizes = plan_shards(listed(rows), seed=1, shard_rows=7).query("split == 'train'")
    counts = sizes.groupby("name").size()
    assert counts.max() <= 7
    assert counts.max() - counts.min() <= 1
    assert len(counts) == -(-rows // 7)


def test_a_shard_holds_one_split_and_is_named_after_it() -> None:
    plan = plan_shards(listed(20), seed=1, shard_rows=7)
    assert (plan["name"].str.partition("-")[0] == plan["split"]).all()
    assert plan.groupby("shard")["name"].nunique().eq(1).all()
    assert sorted(plan["shard"].unique()) == list(range(plan["name"].nunique()))
    assert sorted(plan["name"].unique())[-2:] == ["train-00002.parquet", "validation-00000.parquet"]


def test_places_do_not_depend_on_the_order_of_the_list() -> None:
    images = listed(50)
    shuffled = images.sample(frac=1, random_state=3)
    first, second = (plan_shards(x, seed=1, shard_rows=7) for x in (images, shuffled))
    pd.testing.assert_frame_equal(first, second)


def test_another_seed_gives_another_order_and_none_follows_the_names() -> None:
    one, two = (plan_shards(listed(200), seed=seed, shard_rows=500) for seed in (1, 2))
    assert order(one) != order(two)
    ascending = sum(int(a[:-4]) < int(b[:-4]) for a, b in pairwise(order(one)[:200]))
    assert 60 < ascending < 140


def test_copies_under_two_names_keep_their_own_places() -> None:
    images = listed(4)
    images["sha256"] = "a" * 64
    assert len(plan_shards(images, seed=1, shard_rows=7)) == len(images)


def test_an_empty_split_has_no_shard() -> None:
    plan = plan_shards(listed(5, validation=0), seed=1, shard_rows=7)
    assert set(plan["split"]) == {"train", "test"}
    assert sorted(plan["shard"].unique()) == [0, 1]


@pytest.mark.parametrize("size", [32, 160, 224, 1024])
def test_shards_and_row_groups_stay_bounded_whatever_the_size(size: int) -> None:
    layout = ShardLayout(size)
    assert layout.shard_rows * layout.row_bytes <= SHARD_BYTES
    assert 1 <= layout.group_rows <= 256
    assert layout.group_rows * layout.row_bytes <= 20 << 20

"""Chains of near duplicates: cut at what no longer shows the medoid, without a leak."""

from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter

from pipelines.data import revisions
from pipelines.data.duplicates.clusters import MIN_CORRELATION, clusters, links, separate
from pipelines.data.duplicates.descriptors import correlations
from pipelines.data.duplicates.duplicates import near_pairs
from pipelines.data.land import ingest, landing
from pipelines.data.split import split
from pipelines.spec import DuplicatesSpec
from pipelines.stage import Context
from tests.pipelines.data.landing_folders import png, spec, write
from tests.pipelines.data.recorded import index_of, members_of

RULE = DuplicatesSpec()


def chain(length: int, seed: int, *, step: float = 0.25) -> NDArray[np.uint8]:
    """Images of which each is a near duplicate of the next, and the last is another picture."""
    noise = np.random.default_rng(seed)
    one, other = gaussian_filter(noise.normal(0, 150, (2, 32, 32)), (0, 1.5, 1.5))
    angle = np.arange(length)[:, None, None] * step
    return np.asarray(np.clip(128 + np.cos(angle) * one + np.sin(angle) * other, 0, 255), np.uint8)


def names(count: int) -> pd.DataFrame:
    return pd.DataFrame({"sha256": [f"{n:02d}" for n in range(count)], "group": None})


def test_a_chain_is_cut_where_it_no_longer_shows_the_medoid() -> None:
    thumbnails = chain(9, seed=0)
    pairs = near_pairs(thumbnails, RULE)
    assert set(zip(range(8), range(1, 9), strict=True)) <= set(
        pairs[["first", "second"]].itertuples(index=False, name=None)
    ), "or it is not a chain"
    linked = links(pairs, thumbnails, correlation=RULE.correlation)
    pose = np.zeros(len(linked), np.uint8)
    first, second = linked["first"].to_numpy(), linked["second"].to_numpy()
    assert (correlations(thumbnails, first, second, pose) >= MIN_CORRELATION).all()
    assert len(first) == len(set(first)), "each has one medoid"
    found = clusters(names(9), names(9), linked)
    assert 1 < found.nunique() < 9


def test_copies_of_one_picture_are_not_cut() -> None:
    thumbnails = np.repeat(chain(1, seed=0), 5, axis=0)[:, ::-1]
    thumbnails[1] = thumbnails[1][:, ::-1]
    thumbnails[2] = np.clip(thumbnails[2] * 0.8 + 20, 0, 255)
    pairs = near_pairs(thumbnails, RULE)
    linked = links(pairs, thumbnails, correlation=RULE.correlation)
    assert clusters(names(5), names(5), linked).nunique() == 1
    assert links(pairs.iloc[:0], thumbnails, correlation=0.94).empty


def test_a_patient_is_never_split() -> None:
    thumbnails = chain(9, seed=0)
    rows = names(9).assign(group=pd.Series(["p", *[None] * 7, "p"], dtype=object))
    linked = links(near_pairs(thumbnails, RULE), thumbnails, correlation=RULE.correlation)
    found = clusters(rows, rows, linked)
    assert found["00"] == found["08"]


def test_a_rule_below_the_medoids_threshold_cuts_none_of_its_own_pairs() -> None:
    thumbnails = chain(2, seed=0, step=0.6)
    pairs = near_pairs(thumbnails, DuplicatesSpec(hash_distance=24, correlation=0.7))
    assert pairs["correlation"].lt(MIN_CORRELATION).all()
    assert len(pairs) == 1
    linked = links(pairs, thumbnails, correlation=0.7)
    assert clusters(names(2), names(2), linked).nunique() == 1


def test_what_a_cut_pair_would_leak_is_taken_out_with_its_patient() -> None:
    rows = pd.DataFrame(
        {
            "sha256": ["00", "01", "02", "03", "04", "05"],
            "group": ["p", None, "p", None, None, None],
            "split": ["train", "test", "train", "validation", "train", "train"],
            "excluded": None,
        }
    )
    pairs = pd.DataFrame({"first": [0, 3, 4], "second": [1, 4, 5]})
    separate(rows, rows[["sha256"]].copy(), pairs)
    assert rows["split"].fillna("-").tolist() == ["-", "test", "-", "validation", "-", "train"]
    assert rows["excluded"].fillna("-").tolist() == ["leak", "-", "leak", "-", "leak", "-"]


def test_no_near_duplicate_stands_in_two_splits_although_chains_are_cut(
    context: Context, tmp_path: Path
) -> None:
    for seed in range(16):
        for number, image in enumerate(chain(7, seed)):
            large = np.kron(image, np.ones((2, 2), np.uint8))
            write(tmp_path / f"in/{('cat', 'dog')[seed % 2]}/{seed}_{number}.png", png(large))
    landed = landing.run(spec(), context, str(tmp_path / "in"))
    divided = split.run(spec(), context, ingest.run(spec(), context, landed))
    index = index_of(context, revisions.at(context, divided.snapshot))
    images = pd.DataFrame(index).sort_values("sha256", ignore_index=True)
    thumbnails = np.stack([np.frombuffer(t, np.uint8).reshape(32, 32) for t in images["thumbnail"]])
    pairs = near_pairs(thumbnails, RULE)
    rows = pd.DataFrame(members_of(context, divided.path))
    by_sha256 = rows.set_index("sha256")
    one, other = (by_sha256.loc[images["sha256"][pairs[end]]] for end in ("first", "second"))
    assert (one["cluster"].to_numpy() != other["cluster"].to_numpy()).any(), "or nothing was cut"
    both = one["split"].notna().to_numpy() & other["split"].notna().to_numpy()
    assert both.any()
    assert (one["split"].to_numpy() == other["split"].to_numpy())[both].all()
    assert divided.leaks > 0
    assert (rows["excluded"] == "leak").sum() == divided.leaks

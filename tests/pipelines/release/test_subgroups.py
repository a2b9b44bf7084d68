"""Subgroups of challenger and champion: large ones are compared, small ones are named."""

import numpy as np
import pandas as pd
import pytest

from pipelines.release.subgroups import compare_subgroups

SEX = pd.Series(["female"] * 40 + ["male"] * 40)


def test_a_part_that_got_worse_is_found_though_the_whole_did_not() -> None:
    theirs = np.ones(80, bool)
    theirs[40:60] = False
    ours = np.ones(80, bool)
    ours[:20] = False  # as many errors, all among the women

    found, notes = compare_subgroups(
        ours, theirs, groups=[str(n) for n in range(80)], parts={"sex": SEX}, least=30, seed=1
    )

    apart = {part.name: part.difference for part in found}
    assert apart["sex: female"].value == pytest.approx(-0.5)
    assert apart["sex: female"].high < 0
    assert apart["sex: male"].low > 0
    assert [part.images for part in found] == [40, 40]
    assert notes == []


def test_small_parts_are_named_and_unknown_values_are_no_part() -> None:
    site = pd.Series(["head"] * 50 + ["arm"] * 10 + [None] * 20, dtype=object)
    right = np.ones(80, bool)

    found, notes = compare_subgroups(
        right, right, groups=["one"] * 80, parts={"site": site}, least=30, seed=1
    )

    assert [part.name for part in found] == ["site: head"]
    assert notes == ["Too few images to judge by site (under 30): arm (10)."]


def test_intervals_are_wider_where_images_belong_together() -> None:
    rng = np.random.default_rng(0)
    by_patient = np.repeat(rng.random(8) < 0.5, 5)
    theirs = np.ones(40, bool)
    parts = {"all": pd.Series(["x"] * 40)}

    widths = []
    for groups in ([str(n) for n in range(40)], [str(n // 5) for n in range(40)]):
        found, _ = compare_subgroups(
            by_patient, theirs, groups=groups, parts=parts, least=30, seed=1
        )
        widths.append(found[0].difference.high - found[0].difference.low)

    assert widths[1] > 1.5 * widths[0]

"""The table of operating points: what abstaining by certainty gives back of a threshold's gain."""

import numpy as np
import pandas as pd
import pytest

from benchmarks.operating_point import WAYS, table
from tests.pipelines.data.small_collection import small_spec


@pytest.mark.parametrize("split", ["validation", "test"])
def test_each_way_and_rule_has_a_row_whose_shares_add_up(split: str) -> None:
    classes = [{"name": n, "title": n, "finding": n == "ill"} for n in ("ill", "well")]
    spec = small_spec(classes=classes)
    rng = np.random.default_rng(0)
    ill = rng.random(400) < 0.5
    share = np.where(ill, rng.beta(2, 4, 400), rng.beta(1, 14, 400))
    rows = pd.DataFrame(
        {
            "split": np.where(np.arange(400) % 2, "validation", "test"),
            "label": np.where(ill, "ill", "well"),
            "probability.ill": share,
            "probability.well": 1 - share,
        }
    )

    cells = [line.strip("| ").split(" | ") for line in table(spec, rows, split=split)][4:]

    by = {(way, rule): [float(value) for value in rest] for way, _, rule, *rest in cells}
    assert len(by) == 2 * len(WAYS)
    for _, found, missed, left, _ in by.values():
        assert found + missed + left == pytest.approx(1, abs=2e-3)
    assert by["likeliest class", "probability"] == by["likeliest class", "certainty"]
    # what the threshold gains is answered, no longer left to a person
    gained = "cost ratio 9"
    assert by[gained, "certainty"][1] > by[gained, "probability"][1] + 0.3

"""The table of operating points: what abstaining by certainty gives back of a threshold's gain."""

import pytest

from benchmarks.operating_point import WAYS, draw, table
from tests.pipelines.data.small_collection import small_spec


@pytest.mark.parametrize("split", ["validation", "test"])
def test_each_way_and_rule_has_a_row_whose_shares_add_up(split: str) -> None:
    classes = [{"name": n, "title": n, "finding": n == "ill"} for n in ("ill", "well")]
    spec = small_spec(classes=classes)

    lines = table(spec, draw(spec, images=400), split=split)

    cells = [line.strip("| ").split(" | ") for line in lines][4:]

    by = {(way, rule): [float(value) for value in rest] for way, _, rule, *rest in cells}
    assert len(by) == 2 * len(WAYS)
    for _, found, missed, left, _ in by.values():
        assert found + missed + left == pytest.approx(1, abs=2e-3)
    assert by["likeliest class", "probability"] == by["likeliest class", "certainty"]
    # what the threshold gains is answered, no longer left to a person
    gained = "cost ratio 9"
    assert by[gained, "certainty"][1] > by[gained, "probability"][1] + 0.3

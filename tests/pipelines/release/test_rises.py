"""A share that rose is found, soon and not by chance."""

import numpy as np
import pytest

from pipelines.release.rises import Sign, rise


def first_found(new: list[bool], old: list[bool], *, above: float = 0.02) -> int | None:
    """After how many answers a rise is found."""
    found = rise(Sign("failed", new, old, above), first=20, false_alarms=0.001)
    return found.looked_at if found else None


@pytest.mark.parametrize(
    ("new", "old", "found"),
    [
        ([True] * 20, [False] * 200, 20),
        ([True] * 19, [False] * 200, None),  # too few
        ([True, False] * 20, [False] * 200, 20),
        ([True] + [False] * 19, [False] * 200, None),  # one in twenty can be chance
        ([True] * 20 + [False] * 20, [False] * 200, 20),
        ([False] * 20 + [True] * 20, [False] * 200, None),  # one bad moment
        ([False] * 20 + [True] * 60, [False] * 200, 80),
        ([True, False] * 200, [True, False] * 200, None),  # as before
        ([True] * 20, [], 20),
        ([False] * 400, [], None),
    ],
)
def test_a_rise_is_found_at_the_first_look_that_shows_it(
    new: list[bool], old: list[bool], found: int | None
) -> None:
    before = sum(old) / len(old) if old else 0.0

    assert first_found(new, old, above=before + 0.02) == found
    assert first_found(new + [False] * 1000, old, above=before + 0.02) == found or found is None


def test_it_is_told_with_figures() -> None:
    found = rise(Sign("failed", [True] * 40, [False] * 50, 0.02), first=20, false_alarms=0.001)

    assert found is not None
    assert found.told == "failed: 20 of 20 (100.0%), before: 0 of 50 (0.0%), limit 2.0%"


def test_versions_that_are_alike_are_told_apart_as_seldom_as_is_said() -> None:
    """No margin, so that the test alone decides; over all looks of 2,000 promotions."""
    draw = np.random.default_rng(5)
    alarms = 0
    for _ in range(2000):
        old, new = (list(draw.random(size) < 0.1) for size in (200, 320))
        sign = Sign("x", new, old, above=sum(old) / len(old))
        alarms += rise(sign, first=20, false_alarms=0.05) is not None

    assert alarms <= 0.05 * 2000

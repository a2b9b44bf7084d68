"""Which versions stay, and why."""

import pytest

from pipelines.retention.pins import reasons_of
from pipelines.tracking.versions import Registered


def known(**tags: dict[str, str]) -> dict[int, Registered]:
    """Versions 1 to 9, some with tags: ``v4={"medloop.verdict": "passed"}``."""
    return {
        n: Registered("tiny", n, f"run-{n}", "one", "bundle", tags.get(f"v{n}", {}))
        for n in range(1, 10)
    }


def test_champion_previous_and_challenger_stay_with_what_their_cards_name() -> None:
    versions = known(
        v7={"medloop.compared_with": "6", "medloop.best_champion": "3"},
        v6={"medloop.compared_with": "5"},
        v5={"medloop.compared_with": "4"},
    )

    reasons = reasons_of(versions, {"champion": 7, "previous": 6, "challenger": 9})

    assert reasons == {
        7: "version 7: champion",
        6: "version 6: previous champion",
        9: "version 9: waits for a decision",
        3: "version 3: named by the model card of version 7",
        5: "version 5: named by the model card of version 6",
    }


def test_what_was_promoted_last_stays_where_the_champions_alias_was_removed() -> None:
    versions = known(v2={"medloop.promoted": "2026-01-02"}, v4={"medloop.promoted": "2026-01-01"})

    assert list(reasons_of(versions, {})) == [2]


@pytest.mark.parametrize(
    ("tags", "stays"),
    [
        ({}, True),
        ({"medloop.promoted": "2026-01-01"}, False),
        ({"medloop.refused": "why"}, False),
        ({"medloop.rejected": "by somebody"}, False),
        ({"medloop.verdict": "refused"}, False),
    ],
)
def test_a_version_that_passed_and_waits_for_an_approval_stays(
    tags: dict[str, str], stays: bool
) -> None:
    versions = known(v8={"medloop.verdict": "passed", **tags}, v2={"medloop.verdict": "passed"})

    assert (8 in reasons_of(versions, {"champion": 7})) == stays
    assert 2 not in reasons_of(versions, {"champion": 7})


def test_a_card_that_names_no_champion_pins_nothing() -> None:
    versions = known(v7={"medloop.compared_with": "no champion", "medloop.best_champion": "99"})

    assert list(reasons_of(versions, {"champion": 7})) == [7]

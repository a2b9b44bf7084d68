"""Trouble is an alarm only where it is seen again, and in the latest window."""

import pytest

from pipelines.monitoring.rule import is_alarm, is_over
from pipelines.spec import MonitorSpec

RULES = MonitorSpec(troubled=2, of=5)


def windows(text: str) -> list[bool]:
    return [letter == "T" for letter in text]


@pytest.mark.parametrize(
    ("seen", "alarm", "over"),
    [
        ("", False, True),
        ("T", False, True),
        ("..T", False, True),
        ("TT", True, False),
        ("T...T", True, False),
        ("T....T", False, True),
        ("TT.", False, False),
        ("TTTTT....", False, True),
        ("TTTTT...", False, False),
        ("T.T....", False, True),
    ],
)
def test_two_of_the_last_five_and_the_latest(seen: str, alarm: bool, over: bool) -> None:
    assert is_alarm(windows(seen), RULES) is alarm
    assert is_over(windows(seen), RULES) is over


def test_the_spec_may_ask_for_less() -> None:
    assert is_alarm([False, True], MonitorSpec(troubled=1, of=1))

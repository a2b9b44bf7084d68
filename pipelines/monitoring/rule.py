"""When trouble in windows is an alarm: never at once, and until it has gone.

One window in so many is troubled by chance alone; two among five, and the last of them, hardly
ever are. (With a chance of 1 % a window, some four alarms in ten thousand windows.)
"""

from collections.abc import Sequence

from pipelines.spec import MonitorSpec


def is_alarm(troubled: Sequence[bool], rules: MonitorSpec) -> bool:
    """Whether windows, the latest last, make an alarm.

    Args:
        troubled: whether drift was seen in each.
        rules: at least ``troubled`` of the last ``of`` must be, the latest among them.
    """
    return bool(troubled) and troubled[-1] and _recent(troubled, rules) >= rules.troubled


def is_over(troubled: Sequence[bool], rules: MonitorSpec) -> bool:
    """Whether an alarm is over: too few of the last windows are troubled to make one.

    One clean window does not end it, or an alarm would come and go with every window.
    """
    return _recent(troubled, rules) < rules.troubled


def _recent(troubled: Sequence[bool], rules: MonitorSpec) -> int:
    return sum(troubled[-rules.of :])

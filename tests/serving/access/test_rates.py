"""Token buckets."""

from serving.access import permissions
from serving.access.permissions import Rates


class Clock:
    """Seconds that pass when told to."""

    now = 100.0

    def __call__(self) -> float:
        return self.now


def test_a_burst_passes_and_then_the_rate_holds() -> None:
    clock = Clock()
    limit = Rates(2, 3, clock=clock)
    assert [limit.wait("a") for _ in range(3)] == [0, 0, 0]
    assert limit.wait("a") == 0.5
    assert limit.wait("a") == 0.5, "being refused costs nothing"


def test_waiting_as_told_is_enough() -> None:
    clock = Clock()
    limit = Rates(3, 1, clock=clock)
    for _ in range(50):
        assert limit.wait("a") == 0
        clock.now += limit.wait("a")


def test_a_full_bucket_gets_no_fuller() -> None:
    clock = Clock()
    limit = Rates(1, 2, clock=clock)
    limit.wait("a")
    clock.now += 1000
    assert [limit.wait("a") == 0 for _ in range(3)] == [True, True, False]


def test_one_caller_does_not_hold_up_another() -> None:
    limit = Rates(1, 1, clock=Clock())
    limit.wait("a")
    assert limit.wait("a") > 0
    assert limit.wait("b") == 0


def test_any_number_of_callers_takes_bounded_memory() -> None:
    limit = Rates(1, 1, clock=Clock())
    for n in range(permissions.MOST_CALLERS + 500):
        limit.wait(str(n))
    assert len(limit._full_at) == permissions.MOST_CALLERS
    assert limit.wait(str(permissions.MOST_CALLERS + 499)) > 0

"""What the monitor knows comes back as it was, and the newest counts."""

import math

from pipelines.monitoring.estimate import Estimate
from pipelines.monitoring.judge import Finding
from pipelines.monitoring.state import JudgedWindow, State, keep, state_of
from pipelines.storage.local import LocalStore
from tests.pipelines.monitoring.samples import NOON


def finding(statistic: float) -> Finding:
    said = {"p_value": 1.0, "limit": 0.01, "drifted": False, "detail": "as before"}
    return Finding.model_validate({"name": "width", "statistic": statistic} | said)


def state(statistic: float) -> State:
    window = JudgedWindow(
        number=1,
        first=NOON,
        last=NOON,
        answers=50,
        abstained=0,
        classes={"a": 50},
        findings=(finding(statistic),),
        estimate=Estimate(images=50, accuracy=1, low=0.9, high=1, reference=1),
    )
    return State(version=1, run_id="run", profile="p", number=1, windows=(window,))


def test_the_newest_state_comes_back_and_older_ones_go(local_store: LocalStore) -> None:
    assert state_of(local_store, "tiny") is None
    kept = state(0.5)
    for _ in range(4):
        kept = keep(local_store, "tiny", kept)
    assert kept.sequence == 4
    assert state_of(local_store, "tiny") == kept
    assert len(local_store.names("tiny/monitoring/state")) == 2


def test_a_figure_that_is_no_number_does_not_make_a_state_that_cannot_be_read(
    local_store: LocalStore,
) -> None:
    keep(local_store, "tiny", state(math.nan))
    found = state_of(local_store, "tiny")
    assert found is not None
    assert math.isnan(found.windows[0].findings[0].statistic)

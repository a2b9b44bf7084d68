"""What a run decided, in a few words."""

import pytest

from pipelines.cli.outcome import decision
from pipelines.scheduler import RunState, TaskState


def run(**states: str) -> RunState:
    tasks = tuple(TaskState(task, -1, state, 1.0) for task, state in states.items())
    return RunState("retrain_scans", "manual__1", "success", tasks)


@pytest.mark.parametrize(
    ("states", "decided"),
    [
        ({"promote": "success", "settle": "success"}, "promoted"),
        ({"promote": "skipped", "settle": "success"}, "not approved, or overtaken"),
        (
            {"canary": "success", "promote": "skipped"},
            "another version became the champion meanwhile",
        ),
        ({"refuse": "success", "promote": "skipped"}, "refused by the gate"),
        ({"unchanged": "success"}, "nothing better"),
        ({"too_few": "success", "split": "skipped"}, "too few new images"),
        ({"gate": "running"}, None),
    ],
)
def test_the_end_that_ran_tells_what_was_decided(
    states: dict[str, str], decided: str | None
) -> None:
    assert decision(run(**states)) == decided

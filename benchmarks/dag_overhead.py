"""How much longer a DAG run takes than its stages: the scheduler's share, on the phantoms.

Runs ``retrain_phantom`` with nothing to rely on (``--fresh``), on the stack that is up, and asks
Airflow when each task began and ended. A task's log says how long its stage took in it; the rest of
a task is Airflow's: a process, the DAG's file, the words to the API server.

python -m benchmarks.dag_overhead [DATASET] [--run RUN_ID]
"""

import argparse
import re
from collections.abc import Iterator
from datetime import datetime
from typing import Any, NamedTuple

from rich.table import Table

from pipelines.cli.console import console, table
from pipelines.cli.follow import follow
from pipelines.scheduler import Scheduler, open_scheduler
from pipelines.settings import get_settings

STAGE = re.compile(r"^\w+ took ([0-9.]+) s$")
MEMORY = re.compile(r"took ([0-9.]+) GB of memory at most")


class Timed(NamedTuple):
    """A task of the run."""

    name: str
    begin: datetime
    end: datetime
    stage: float
    """Seconds in our own code."""
    gigabytes: float | None

    @property
    def seconds(self) -> float:
        """How long Airflow says it ran."""
        return (self.end - self.begin).total_seconds()


def main() -> None:
    """Run, measure, print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("dataset", nargs="?", default="phantom")
    parser.add_argument("--run", help="a run that has ended, instead of a new one")
    options = parser.parse_args()
    scheduler = open_scheduler(get_settings())
    dag = f"retrain_{options.dataset}"
    run = options.run or follow(scheduler, dag, scheduler.start(dag, {"fresh": True})).run
    tasks = sorted(_timed(scheduler, dag, run), key=lambda task: task.begin)
    _print(tasks)


def _timed(scheduler: Scheduler, dag: str, run: str) -> Iterator[Timed]:
    place = f"dags/{dag}/dagRuns/{run}/taskInstances"
    for task in scheduler._call("GET", f"{place}?limit=500")["task_instances"]:
        if task["state"] != "success" or not task["start_date"]:
            continue
        index = task["map_index"]
        log = scheduler._call(
            "GET",
            f"{place}/{task['task_id']}/logs/{task['try_number']}"
            f"?full_content=true&map_index={index}",
        )["content"]
        name = task["task_id"] if index < 0 else f"{task['task_id']}[{index}]"
        begin, end = (datetime.fromisoformat(task[f"{which}_date"]) for which in ("start", "end"))
        yield Timed(name, begin, end, _said(log, STAGE) or 0.0, _said(log, MEMORY))


def _said(log: list[Any], what: re.Pattern[str]) -> float | None:
    found = [what.search(str(line.get("event", ""))) for line in log if isinstance(line, dict)]
    return next((float(match[1]) for match in reversed(found) if match), None)


def _print(tasks: list[Timed]) -> None:
    rows: Table = table("Each task", "task", "stage, s", "task, s", "waited, s", "memory, GB")
    latest = tasks[0].begin
    for task in tasks:
        waited = max(0.0, (task.begin - latest).total_seconds())
        latest = max(latest, task.end)
        memory = "" if task.gigabytes is None else f"{task.gigabytes:.2f}"
        figures = (f"{task.stage:.1f}", f"{task.seconds:.1f}", f"{waited:.1f}", memory)
        rows.add_row(task.name, *figures)
    console.print(rows)
    wall = (max(t.end for t in tasks) - tasks[0].begin).total_seconds()
    stages, inside = sum(t.stage for t in tasks), sum(t.seconds for t in tasks)
    console.print(
        f"The run took {wall:.1f} s: {wall / stages:.2f} x its stages ({stages:.1f} s), "
        f"{wall / inside:.2f} x its tasks ({inside:.1f} s)."
    )


if __name__ == "__main__":
    main()

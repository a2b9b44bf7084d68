"""Everything that talks to Airflow: start a DAG run over its REST API and follow its tasks."""

import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Literal

import httpx

from pipelines.errors import MedloopError, NotFound, SchedulerUnavailable
from pipelines.settings import Settings

ENDED = frozenset({"success", "failed"})
Choice = Literal["Approve", "Reject"]
HEAVY_POOL = "heavy"
"""Airflow's pool of the tasks that keep cores and memory busy: few of them run at once."""


@dataclass(frozen=True)
class TaskState:
    """One task of a run as it stands."""

    task: str
    index: int
    """Position of a mapped task; -1 for others."""
    state: str
    seconds: float | None

    @property
    def name(self) -> str:
        """The task's id, with its position where it is mapped."""
        return self.task if self.index < 0 else f"{self.task}[{self.index}]"


@dataclass(frozen=True)
class Asked:
    """A question to a person that a run waits with."""

    dag: str
    run: str
    task: str
    subject: str
    body: str
    """Markdown."""


@dataclass(frozen=True)
class RunState:
    """A DAG run and its tasks."""

    dag: str
    run: str
    state: str
    tasks: tuple[TaskState, ...]

    @property
    def ended(self) -> bool:
        """Whether the run is over."""
        return self.state in ENDED

    def state_of(self, task: str) -> str | None:
        """State of a task that is not mapped; ``None`` before it has one."""
        return next((t.state for t in self.tasks if t.task == task), None)


@dataclass(frozen=True)
class EndedRun:
    """How the last run of a DAG that has ended did so."""

    dag: str
    state: str
    ended: datetime
    seconds: float


class Scheduler:
    """A client of one Airflow installation.

    Args:
        url: the API server.
        user: whom to log in as.
        password: that user's password.
    """

    def __init__(self, url: str, *, user: str, password: str) -> None:
        self.url = url
        self._login = {"username": user, "password": password}
        self._http = httpx.Client(base_url=url, timeout=30, trust_env=False)

    def start(self, dag: str, conf: dict[str, Any]) -> str:
        """Start a run with these parameters; its id.

        Raises:
            NotFound: Airflow knows no such DAG (yet).
        """
        answer = self._call("POST", f"dags/{dag}/dagRuns", {"logical_date": None, "conf": conf})
        return str(answer["dag_run_id"])

    def unfinished(self, dag: str) -> str | None:
        """Id of a run of this DAG that is under way, if there is one."""
        query = "state=running&state=queued&order_by=-run_after&limit=1"
        runs = self._call("GET", f"dags/{dag}/dagRuns?{query}")["dag_runs"]
        return str(runs[0]["dag_run_id"]) if runs else None

    def latest(self, dag: str) -> RunState | None:
        """The run that was started last, if there was one."""
        runs = self._call("GET", f"dags/{dag}/dagRuns?order_by=-run_after&limit=1")["dag_runs"]
        return self.state(dag, str(runs[0]["dag_run_id"])) if runs else None

    def last_ended(self) -> list[EndedRun]:
        """The last ended run of every DAG that has one."""
        query = "state=success&state=failed&order_by=-end_date&limit=1"
        every = [dag["dag_id"] for dag in self._call("GET", "dags?limit=500")["dags"]]
        runs = [self._call("GET", f"dags/{dag}/dagRuns?{query}")["dag_runs"] for dag in every]
        return [
            EndedRun(
                dag=str(run["dag_id"]),
                state=str(run["state"]),
                ended=datetime.fromisoformat(run["end_date"]),
                seconds=float(run["duration"] or 0),
            )
            for (run,) in filter(None, runs)
        ]

    def finished(self, dag: str) -> list[str]:
        """Ids of the newest runs that ended well, at most 50."""
        query = "state=success&order_by=-run_after&limit=50"
        runs = self._call("GET", f"dags/{dag}/dagRuns?{query}")["dag_runs"]
        return [str(run["dag_run_id"]) for run in runs]

    def state(self, dag: str, run: str) -> RunState:
        """How a run stands."""
        answer = self._call("GET", f"dags/{dag}/dagRuns/{run}")
        rows = self._call("GET", f"dags/{dag}/dagRuns/{run}/taskInstances?limit=500")
        tasks = [
            TaskState(t["task_id"], t["map_index"], t["state"] or "waiting", t["duration"])
            for t in rows["task_instances"]
        ]
        return RunState(dag, run, str(answer["state"]), tuple(tasks))

    def follow(self, dag: str, run: str, *, every: float = 1.0) -> Iterator[RunState]:
        """The run's states, one now and one each ``every`` seconds, until it has ended."""
        while True:
            state = self.state(dag, run)
            yield state
            if state.ended:
                return
            time.sleep(every)

    def result(self, dag: str, run: str, task: str) -> Any:
        """What a task returned.

        Raises:
            NotFound: the task returned nothing.
        """
        path = f"dags/{dag}/dagRuns/{run}/taskInstances/{task}/xcomEntries/return_value"
        return self._call("GET", path)["value"]

    def reason(self, dag: str, run: str, task: TaskState) -> str:
        """Why a task failed: the error at the end of its log."""
        base = f"dags/{dag}/dagRuns/{run}/taskInstances/{task.task}"
        place = f"{base}/{task.index}" if task.index >= 0 else base
        tries = self._call("GET", place)["try_number"]
        log = self._call("GET", f"{base}/logs/{tries}?full_content=true&map_index={task.index}")
        return _last_error(log["content"])

    def questions(self, dag: str) -> list[Asked]:
        """What runs of this DAG ask of a person and nobody has answered, the oldest first."""
        rows = self._call("GET", f"dags/{dag}/dagRuns/~/hitlDetails?response_received=false")
        open_ones = [(row, row["task_instance"]) for row in rows["hitl_details"]]
        asked = [
            Asked(dag, task["dag_run_id"], task["task_id"], row["subject"], row["body"] or "")
            for row, task in open_ones
            if task["state"] == "awaiting_input"
        ]
        return sorted(asked, key=lambda one: one.run)

    def answer(self, asked: Asked, choice: Choice, *, note: str = "") -> None:
        """Answer a question, with the reason why.

        Raises:
            MedloopError: somebody was quicker, or this user may not.
        """
        place = f"dags/{asked.dag}/dagRuns/{asked.run}/taskInstances/{asked.task}/-1/hitlDetails"
        self._call("PATCH", place, {"chosen_options": [choice], "params_input": {"note": note}})

    def reread(self, dag: str, *, seconds: float = 60) -> None:
        """Have Airflow read the DAG's file, and wait until it has.

        By itself it looks every half minute. A run that is started before is planned by the former
        spec: without the approval, say, that somebody has just asked for.

        Raises:
            NotFound: it has no such DAG within ``seconds``.
            SchedulerUnavailable: it has the DAG, but did not read it again within ``seconds``.
        """
        deadline = time.monotonic() + seconds
        before = None
        while True:
            try:
                found = self._call("GET", f"dags/{dag}")
            except NotFound:
                if time.monotonic() > deadline:
                    raise
            else:
                if before is None:
                    before = found["last_parsed_time"]
                    self._call("PUT", f"parseDagFile/{found['file_token']}")
                elif found["last_parsed_time"] != before:
                    return
                elif time.monotonic() > deadline:
                    raise SchedulerUnavailable(
                        f"Airflow at {self.url} did not read {dag} again within {seconds:.0f} s. "
                        "Is its part airflow-dag-processor ready (medloop stack status)?"
                    )
            time.sleep(0.5)

    def _call(self, method: str, path: str, body: Any = None) -> Any:
        try:
            response = self._http.request(method, f"/api/v2/{path}", json=body)
            if response.status_code == httpx.codes.UNAUTHORIZED:
                self._log_in()
                response = self._http.request(method, f"/api/v2/{path}", json=body)
        except httpx.TransportError as error:
            raise SchedulerUnavailable(
                f"Airflow does not answer at {self.url} ({error}). Is the stack up "
                "(medloop stack status)?"
            ) from error
        if response.status_code == httpx.codes.NOT_FOUND:
            raise NotFound(f"Airflow at {self.url} has no {path.partition('?')[0]}.")
        if response.status_code >= httpx.codes.INTERNAL_SERVER_ERROR:
            raise SchedulerUnavailable(f"Airflow at {self.url}: {response.status_code}.")
        if response.is_error:
            raise MedloopError(f"Airflow refused {method} {path}: {response.text}")
        return response.json()

    def _log_in(self) -> None:
        answer = self._http.post("/auth/token", json=self._login)
        if answer.is_error:
            raise MedloopError(f"Airflow at {self.url} refused the user {self._login['username']}.")
        self._http.headers["Authorization"] = f"Bearer {answer.json()['access_token']}"


def _last_error(lines: Any) -> str:
    for line in reversed(lines if isinstance(lines, list) else []):
        details = line.get("error_detail") if isinstance(line, dict) else None
        if details:
            return str(details[0]["exc_value"])
        if isinstance(line, dict) and line.get("level") in ("error", "critical"):
            return str(line["event"])
    return "its log holds no error; read it in the Airflow UI"


def open_scheduler(settings: Settings) -> Scheduler:
    """The client of this installation's Airflow.

    Raises:
        SchedulerUnavailable: the embedded Airflow was never started.
    """
    passwords = settings.home / "airflow" / "passwords.json"
    return Scheduler(settings.airflow, user="admin", password=_password(passwords, "admin"))


def _password(file: Path, user: str) -> str:
    import json

    if not file.is_file():
        raise SchedulerUnavailable(f"No password file {file}: start the stack (medloop stack up).")
    return str(json.loads(file.read_text("utf-8"))[user])

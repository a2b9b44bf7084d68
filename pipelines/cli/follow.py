"""Shows a DAG run as it goes: one line a task, with its time."""

import time

from rich.live import Live
from rich.table import Table

from pipelines.cli.console import console, table
from pipelines.scheduler import RunState, Scheduler, TaskState

SIGNS = {
    "success": "[green]✓[/green]",
    "failed": "[red]✗[/red]",
    "upstream_failed": "[red]·[/red]",
    "running": "[cyan]▶[/cyan]",
    "up_for_retry": "[yellow]↻[/yellow]",
    "skipped": "[dim]-[/dim]",
    "awaiting_input": "[yellow]?[/yellow]",
}
ORDER = (
    "land", "check_landing", "ingest", "enough", "proceed", "too_few", "split", "check_snapshot",
    "prepare", "check_prepared", "candidates", "train", "evaluate", "select", "gate", "decide",
    "canary", "ask", "approval", "promote", "settle", "refuse", "unchanged",
)  # fmt: skip


def follow(scheduler: Scheduler, dag: str, run: str) -> RunState:
    """Show a run until it has ended; a table that moves on a terminal, lines elsewhere."""
    console.print(f"[bold]{dag}[/bold] {run}")
    return _live(scheduler, dag, run) if console.is_terminal else _lines(scheduler, dag, run)


def _live(scheduler: Scheduler, dag: str, run: str) -> RunState:
    with Live(console=console, refresh_per_second=4) as live:
        for state in scheduler.follow(dag, run):
            live.update(_table(state))
    return state


def _lines(scheduler: Scheduler, dag: str, run: str) -> RunState:
    shown: dict[str, str] = {}
    began = time.monotonic()
    for state in scheduler.follow(dag, run):
        for task in sorted(state.tasks, key=_place):
            if task.state in SIGNS and shown.get(task.name) != task.state:
                shown[task.name] = task.state
                console.print(f"{time.monotonic() - began:6.0f} s  {_line(task)}")
    return state


def _table(state: RunState) -> Table:
    rows = table("", "", "task", "state", "seconds")
    for task in sorted(state.tasks, key=_place):
        seconds = "" if task.seconds is None else f"{task.seconds:.1f}"
        rows.add_row(SIGNS.get(task.state, " "), task.name, task.state, seconds)
    return rows


def _line(task: TaskState) -> str:
    seconds = "" if task.seconds is None or task.state == "running" else f" ({task.seconds:.1f} s)"
    return f"{SIGNS[task.state]} {task.name}: {task.state}{seconds}"


def _place(task: TaskState) -> tuple[int, int]:
    return (ORDER.index(task.task) if task.task in ORDER else len(ORDER), task.index)

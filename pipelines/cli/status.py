"""``medloop status``: the stack, each data set's champion, last run and traffic, and the URLs."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime

import typer

from pipelines.cli import alerts
from pipelines.cli import stack as stack_commands
from pipelines.cli.console import console, table
from pipelines.cli.outcome import decision
from pipelines.errors import MedloopError, Unavailable
from pipelines.scheduler import open_scheduler
from pipelines.settings import get_settings
from pipelines.spec import load_spec, spec_names

app = typer.Typer()


@app.command()
def status() -> None:
    """What runs, which champions serve and are asked what, how the last runs ended."""
    import stack

    stack_commands.show(stack.status(get_settings()), stack.rooms(get_settings()))
    names = spec_names()
    columns = {
        "champion": _champion,
        "last run": _last_run,
        "waiting in the landing folder": _waiting,
        "traffic": _traffic,
    }
    with ThreadPoolExecutor(max_workers=len(columns)) as threads:
        cells = list(threads.map(lambda look: _column(look, names), columns.values()))
    rows = table("\nData sets", "data set", *columns)
    for row in zip(names, *cells, strict=True):
        rows.add_row(*row)
    console.print(rows)
    if told := alerts.summary(get_settings()):
        console.print(f"\n{told}", style="yellow")


def _column(look: Callable[[str], str], names: list[str]) -> list[str]:
    """What one part knows of each data set; a part that is away is waited for once."""
    told: list[str] = []
    for name in names:
        try:
            told.append(look(name))
        except Unavailable as error:
            return told + [f"unknown ({type(error).__name__})"] * (len(names) - len(told))
        except MedloopError as error:
            told.append(f"unknown ({type(error).__name__})")
    return told


def _champion(dataset: str) -> str:
    from pipelines.release import registry
    from pipelines.stage import default_context

    champion = registry.champion(default_context(), dataset)
    return f"version {champion.version}" if champion else "none"


def _traffic(dataset: str) -> str:
    """What the monitor has seen of what the champion is asked."""
    from pipelines.monitoring.state import state_of
    from pipelines.stage import default_context

    state = state_of(default_context().store, dataset)
    if state is None:
        return "not watched yet"
    seen = f"{len(state.windows)} windows of version {state.version}"
    report = get_settings().home / "reports" / f"{dataset}-monitoring.html"
    word = f"DRIFT since window {state.episode.window}" if state.episode else "no drift"
    return f"{word}, {seen}: {report}" if report.exists() else f"{word}, {seen}"


def _last_run(dataset: str) -> str:
    run = open_scheduler(get_settings()).latest(f"retrain_{dataset}")
    if run is None:
        return "never"
    decided = decision(run)
    return f"{run.state}{f', {decided}' if decided else ''} ({run.run})"


def _waiting(dataset: str) -> str:
    """New files that no snapshot holds yet, and since when the first of them is there."""
    from pipelines.data.arrivals import waiting

    found = waiting(load_spec(dataset))
    if found is None:
        return "nothing"
    since = datetime.fromtimestamp(found.since).astimezone()
    return f"{found.files:,} {'file' if found.files == 1 else 'files'}, since {since:%d %b %H:%M}"

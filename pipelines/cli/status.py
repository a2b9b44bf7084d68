"""``medloop status``: the stack, each data set's champion, last run and traffic, and the URLs."""

import logging
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime

import typer

from pipelines.activity import disable, enable, is_active
from pipelines.cli import alerts
from pipelines.cli import stack as stack_commands
from pipelines.cli.console import Dataset, console, done, fail, table
from pipelines.cli.outcome import decision
from pipelines.errors import MedloopError, Unavailable
from pipelines.jobs import figures
from pipelines.scheduler import open_scheduler
from pipelines.service_client import ServiceClient
from pipelines.settings import get_settings
from pipelines.spec import invalid_specs, load_spec, spec_names

logger = logging.getLogger(__name__)

app = typer.Typer()


@app.command()
def status() -> None:
    """What runs, which champions serve and are asked what, how the last runs ended."""
    import stack

    settings = get_settings()
    stack_commands.show(stack.status(settings), stack.rooms(settings))
    wrong = invalid_specs()
    names = [name for name in spec_names() if is_active(settings, name)]
    columns = {
        "champion": champion,
        "last run": _last_run,
        "waiting in the landing folder": _waiting,
        "traffic": _traffic,
    }
    with ThreadPoolExecutor(max_workers=len(columns)) as threads:
        cells = list(threads.map(lambda look: _column(look, names), columns.values()))
    rows = table("\nData sets in use", "data set", *columns)
    for row in zip(names, *cells, strict=True):
        rows.add_row(*row)
    console.print(rows if names else "\nNo data set is in use.")
    if unused := [name for name in spec_names() if name not in names]:
        console.print(
            f"Not in use: {', '.join(unused)}. The first files in its landing folder, "
            "`medloop retrain DATASET` or `medloop enable DATASET` change that.",
            markup=False,
        )
    for error in wrong.values():
        fail(error)
    if jobs := figures.summary(settings):
        console.print(f"\n{jobs}", markup=False)
    if told := alerts.summary(settings):
        console.print(f"\n{told}", style="yellow")


@app.command(name="enable")
def enable_dataset(dataset: Dataset) -> None:
    """Use a data set: all its DAGs, with their clocks, before any of its files has landed."""
    load_spec(dataset)
    enable(get_settings(), dataset)
    done(f"{dataset} is in use; Airflow shows its DAGs within a minute")


@app.command(name="disable")
def disable_dataset(dataset: Dataset) -> None:
    """Use a data set no more: no clock and no new files start its DAGs.

    Runs under way go on, its champion goes on serving, and nothing is deleted.
    """
    load_spec(dataset)
    disable(get_settings(), dataset)
    done(f"{dataset} is not in use; `medloop enable` or `medloop retrain` changes that")


def _column(look: Callable[[str], str], names: list[str]) -> list[str]:
    """What one part knows of each data set; a part that is away is waited for once."""
    told: list[str] = []
    for name in names:
        try:
            told.append(look(name))
        except Unavailable as error:
            return told + [f"unknown ({type(error).__name__})"] * (len(names) - len(told))
        except Exception as error:  # whatever it is, the other data sets are shown
            logger.info("%s: %s", name, error, exc_info=True)
            told.append(f"unknown ({type(error).__name__})")
    return told


def champion(dataset: str) -> str:
    """The version in the registry, and the one in service where they differ."""
    from pipelines.release import registry
    from pipelines.stage import default_context

    named, served = registry.champion(default_context(), dataset), _served(dataset)
    if named is None:
        return "none" if served is None else registry.without_alias(served)
    if served in (None, named.version):
        return f"version {named.version}{_since_promotion(dataset, named.version)}"
    return f"version {named.version}, but the service serves version {served}"


def _since_promotion(dataset: str, version: int) -> str:
    """How a version does since its promotion; nothing where that is over or is not looked at."""
    from pipelines.release.promotions import latest

    promotion = latest(get_settings(), dataset)
    if promotion is None or load_spec(dataset).auto_rollback is None:
        return ""
    if promotion.outcome is None and promotion.version == version:
        return f", watched since {promotion.at.astimezone():%d %b %H:%M}"
    if promotion.reasons and promotion.previous == version:
        return f", as version {promotion.version} was rolled back ({'; '.join(promotion.reasons)})"
    return ""


def _served(dataset: str) -> int | None:
    """The version that the service answers with; ``None`` if it serves none or does not answer."""
    try:
        return ServiceClient(get_settings()).versions().get(dataset)
    except MedloopError:
        return None


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
    from pipelines.data.land.arrivals import waiting

    found = waiting(load_spec(dataset))
    if found is None:
        return "nothing"
    since = datetime.fromtimestamp(found.since).astimezone()
    return f"{found.files:,} {'file' if found.files == 1 else 'files'}, since {since:%d %b %H:%M}"

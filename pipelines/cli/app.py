"""Assembles the commands; turns our errors into one clear line and an exit status."""

import logging
import os
import sys

import typer
from rich.logging import RichHandler

from pipelines.cli import (
    alerts,
    approval,
    backup,
    card,
    data,
    erase,
    monitor,
    prune,
    release,
    retrain,
    score,
    settings,
    stack,
    status,
    studies,
    token,
    trace,
)
from pipelines.cli.console import console, fail
from pipelines.errors import MedloopError

app = typer.Typer(
    name="medloop",
    no_args_is_help=True,
    rich_markup_mode="markdown",
    pretty_exceptions_enable=False,
    help="""The retraining loop for medical-image classifiers.

    Begin with `medloop run phantom`: it brings the stack up, draws synthetic scans, retrains,
    serves the champion and asks it one question. Then try your own images:
    `medloop run brain_mri --landing FOLDER`. A new kind of scan is one file in `datasets/`.
    """,
)
for part in (
    *(retrain.app, approval.app, data.app, release.app, card.app, score.app, monitor.app),
    *(prune.app, erase.app, status.app, trace.app, settings.app, studies.app),
):
    app.registered_commands += part.registered_commands
app.registered_commands += backup.restore_app.registered_commands
app.add_typer(backup.app, name="backup")
app.add_typer(stack.app, name="stack")
app.add_typer(alerts.app, name="alerts")
app.add_typer(token.app, name="token")


@app.callback()
def _options(
    verbose: bool = typer.Option(False, "--verbose", "-v", help="Show what each stage logs."),
) -> None:
    level = logging.INFO if verbose else logging.WARNING
    handler = RichHandler(console=console, show_path=False, rich_tracebacks=False)
    logging.basicConfig(level=logging.WARNING, format="%(message)s", handlers=[handler])
    # Its retries are not news: an error of ours tells once what does not answer.
    logging.getLogger("urllib3").setLevel(logging.ERROR)
    for name in ("pipelines", "stack"):
        logging.getLogger(name).setLevel(level)


def main() -> None:
    """Run the command line; exits 1 after an error of ours, without a traceback."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    try:
        app()
    except MedloopError as error:
        fail(error)
        sys.exit(1)
    except KeyboardInterrupt:
        console.print("\nStopped. What was committed stands; run the same command to go on.")
        sys.exit(130)

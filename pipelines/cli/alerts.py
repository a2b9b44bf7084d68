"""``medloop alerts``: what was told, what is still to be delivered, and whether it would arrive."""

import sqlite3
import time
from typing import Annotated

import typer
from rich.table import Table
from rich.text import Text

from pipelines.alerts.alert import Alert
from pipelines.alerts.book import Book, Waiting, make_notice
from pipelines.alerts.channel import open_channels
from pipelines.alerts.log import alert_log, latest
from pipelines.alerts.notice import Notice
from pipelines.cli.console import console, done, fail, table
from pipelines.errors import DeliveryFailed, MedloopError
from pipelines.settings import Settings, get_settings

app = typer.Typer(invoke_without_command=True, help="What went wrong, and who was told.")

STYLES = {"critical": "bold red", "warning": "yellow", "info": ""}


@app.callback()
def show(
    context: typer.Context,
    last: Annotated[int, typer.Option(min=1, help="How many past notices are shown.")] = 20,
) -> None:
    """What is open, what was told lately, and what could not be delivered yet."""
    if context.invoked_subcommand:
        return
    settings = get_settings()
    troubles, waiting = _read(settings)
    console.print(_open(troubles) if troubles else "Nothing is wrong that was told of.")
    told = latest(settings, last)
    if told:
        console.print(_told(told))
    if waiting:
        console.print(_outbox(waiting))
    console.print(f"\nEach notice, as JSON: {alert_log(settings)}", soft_wrap=True)


def summary(settings: Settings) -> str | None:
    """One line on what is open or not delivered; ``None`` where nothing is."""
    try:
        troubles, waiting = _read(settings)
    except MedloopError as error:
        return str(error)
    told = [f"{len(troubles)} open alerts"] if troubles else []
    kept = [f"{len(waiting)} not delivered yet"] if waiting else []
    return f"{', '.join(told + kept)}: medloop alerts" if troubles or waiting else None


@app.command()
def test() -> None:
    """Send a test alert by every channel, and say what became of it."""
    settings = get_settings()
    notice = _trial()
    failed = False
    for channel in open_channels(settings):
        try:
            channel.deliver(notice)
        except DeliveryFailed as error:
            failed = True
            fail(DeliveryFailed(f"{channel.name}: {error}"))
        else:
            done(f"{channel.name}: taken")
    for name, variables in _unset(settings).items():
        console.print(f"  {name}: not set up ({variables}; see docs/alerts.md)", soft_wrap=True)
    if failed:
        raise typer.Exit(1)


def _read(settings: Settings) -> tuple[list[Notice], list[Waiting]]:
    try:
        with Book(settings) as book:
            return book.open_troubles(), book.waiting()
    except (sqlite3.Error, OSError) as error:
        raise MedloopError(
            f"{settings.home}/alerts/alerts.sqlite cannot be read: {error}. If the disk is well, "
            "move the file away: a new one is begun, and what was told stands in alerts.jsonl."
        ) from error


def _trial() -> Notice:
    alert = Alert(
        kind="part_down",
        severity="info",
        subject="test",
        title="A test: alerts of Medloop arrive here",
        text="Nothing is wrong. Somebody ran: medloop alerts test",
    )
    now = time.time()
    return make_notice(alert, "test", since=now, at=now)


def _unset(settings: Settings) -> dict[str, str]:
    ways = {
        "e-mail": ("MEDLOOP_ALERT_EMAIL_TO", settings.alert_email_to),
        "webhook": ("MEDLOOP_ALERT_WEBHOOK_URL_FILE", settings.alert_webhook_url_file),
    }
    return {name: variable for name, (variable, value) in ways.items() if not value}


def _open(troubles: list[Notice]) -> Table:
    rows = table("Open", "since (UTC)", "", "what", "read on")
    for trouble in troubles:
        alert = trouble.alert
        rows.add_row(
            f"{trouble.since:%Y-%m-%d %H:%M}", _severity(alert), alert.title, alert.link or ""
        )
    return rows


def _told(notices: list[Notice]) -> Table:
    rows = table("\nTold", "when (UTC)", "", "", "what")
    for notice in notices:
        alert = notice.alert
        rows.add_row(f"{notice.at:%Y-%m-%d %H:%M}", notice.state, _severity(alert), alert.title)
    return rows


def _outbox(waiting: list[Waiting]) -> Table:
    rows = table("\nNot delivered yet", "by", "tries", "what", "why not")
    for one in waiting:
        rows.add_row(one.channel, str(one.tries), one.notice.alert.title, one.error or "")
    return rows


def _severity(alert: Alert) -> Text:
    return Text(alert.severity, style=STYLES[alert.severity])

"""The alert for a data set whose file is invalid."""

import sqlite3
from collections.abc import Mapping

from pipelines.alerts.alert import Alert, Kind
from pipelines.alerts.book import Book
from pipelines.alerts.send import resolve, send
from pipelines.errors import SpecError
from pipelines.settings import Settings

KIND: Kind = "spec_invalid"


def report_invalid_specs(settings: Settings, wrong: Mapping[str, SpecError]) -> None:
    """Send an alert for each invalid file, and resolve those of files that are valid again.

    Args:
        settings: the installation.
        wrong: data set → what is wrong with its file.
    """
    alerts = [spec_alert(dataset, error) for dataset, error in wrong.items()]
    for alert in alerts:
        send(settings, alert)
    for key in _open(settings) - {alert.key for alert in alerts}:
        resolve(settings, key)


def spec_alert(dataset: str, error: SpecError) -> Alert:
    """What people hear of one invalid file."""
    return Alert(
        kind=KIND,
        severity="critical",
        dataset=dataset,
        subject=f"{dataset}.yaml",
        title=f"{dataset}: its file is invalid, so it is not retrained, monitored or scored",
        text=(
            f"{error}\nOther data sets go on, and what serves goes on serving. Correct the file; "
            "its DAGs come back within a minute."
        ),
    )


def _open(settings: Settings) -> set[str]:
    """Keys of the alerts about files that are open; makes no book where there is none."""
    if not (settings.home / "alerts").exists():
        return set()
    try:
        with Book(settings) as book:
            keys = {notice.alert.key for notice in book.open_troubles()}
    except (sqlite3.Error, OSError):
        return set()
    return {key for key in keys if key.startswith(f"{KIND}/")}

"""People hear of a backup that fails, and that it works again."""

from collections.abc import Iterator
from contextlib import contextmanager

from pipelines.alerts.alert import Alert
from pipelines.alerts.send import resolve, send
from pipelines.backup.state import read_state
from pipelines.errors import MedloopError
from pipelines.settings import Settings


@contextmanager
def told(settings: Settings) -> Iterator[None]:
    """Send an alert if the block fails; say that it is over if it does not."""
    try:
        yield
    except MedloopError as error:
        send(settings, _alert(settings, error))
        raise
    resolve(settings, _alert(settings, None).key)


def _alert(settings: Settings, error: MedloopError | None) -> Alert:
    last = read_state(settings).succeeded_at
    since = f"The last good one is of {last:%Y-%m-%d %H:%M} UTC." if last else "There is none yet."
    return Alert(
        kind="backup_failed",
        severity="critical",
        subject="backup",
        title="The backup failed",
        text=f"{error}\n{since} Mend the cause, then take one: medloop backup.",
    )

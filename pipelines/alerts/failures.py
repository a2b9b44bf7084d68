"""A failed step of the loop as an alert.

An error's message may name files, and a file's name may be a patient's. So an alert takes from
it what cannot: the kind of error, the expectations that were not met, the address that does not
answer. The link leads to the rest.
"""

import inspect

from pipelines.alerts.alert import Alert, Kind, alert_key
from pipelines.errors import CheckFailed, MedloopError, Unavailable

BACKUP = "backup"
"""The step that is no data set's."""
KINDS: tuple[Kind, ...] = ("check_failed", "run_failed", "backup_failed")
"""What a step that failed may be told as."""


def failure_alert(
    dataset: str, step: str, *, error: BaseException | str | None, link: str | None = None
) -> Alert:
    """What to tell of a step that failed for good.

    Args:
        dataset: whose step it is.
        step: its name, as ``check_landing``.
        error: what it raised (the error of ours behind it, if there is one, is what counts), or
            what its scheduler says of it.
        link: its run, or its log.
    """
    ours = _ours(error)
    checked = isinstance(ours, CheckFailed)
    failed: Kind = "backup_failed" if step == BACKUP else "run_failed"
    return Alert(
        kind="check_failed" if checked else failed,
        severity="critical" if step == BACKUP else "warning",
        dataset=dataset,
        subject=step,
        title=f"{dataset}: {step} {'is not passed' if checked else 'failed'}",
        text=f"{_what(ours)}\n{_advice(ours)}",
        link=link,
    )


def failure_keys(dataset: str, step: str) -> tuple[str, ...]:
    """The keys that are over once the step has succeeded."""
    return tuple(alert_key(kind, dataset, step) for kind in KINDS)


def _ours(error: BaseException | str | None) -> BaseException | None:
    """The error of ours that led to another, or else what the step itself raised."""
    raised = error if isinstance(error, BaseException) else None
    if type(raised).__name__ == "AirflowFailException" and raised is not None:
        raised = raised.__cause__ or raised
    found = raised
    while found is not None:
        if isinstance(found, MedloopError):
            return found
        found = found.__cause__
    return raised


def _what(error: BaseException | None) -> str:
    if error is None:
        return "Its process was ended (killed, out of memory, or out of time) more than once."
    if isinstance(error, CheckFailed):
        return _expectations(str(error))
    if isinstance(error, Unavailable):
        return str(error).splitlines()[0]
    about = (inspect.getdoc(type(error)) or "").splitlines()
    first = about[0] if isinstance(error, MedloopError) and about else ""
    return f"{type(error).__name__}: {first}".rstrip(": ") + "."


def _expectations(message: str) -> str:
    """What was expected and not met, without the rows that broke it."""
    head, *lines = message.splitlines()
    unmet = [line.partition("; found")[0] for line in lines if line.lstrip().startswith("- ")]
    return "\n".join([head, *unmet])


def _advice(error: BaseException | None) -> str:
    if isinstance(error, CheckFailed):
        return "Nothing of it went further. Its report names the rows (link, then the task's log)."
    if isinstance(error, Unavailable):
        return "It was tried again and again. Once it answers, clear the task; it goes on there."
    return "The task's log says more. Once it is mended, clear the task; the run goes on there."

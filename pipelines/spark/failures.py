"""What went wrong in a Spark job, as an error of ours.

Spark tries each task up to four times and then gives the job up. Its error says whether another
try of the whole job can help: a worker's own error, a lost executor, a store that is away.
"""

import re
from collections.abc import Iterator
from contextlib import contextmanager

from pipelines import errors
from pipelines.errors import MedloopError, SparkJobFailed, Unavailable

OURS = re.compile(r"^pipelines\.errors\.(\w+): (.*)$", re.MULTILINE)
HEALING = (
    *("executorlost", "executor lost", "lost executor", "executor heartbeat timed out"),
    *("rpc client disassociated", "exited unexpectedly", "exit code 137", "container killed"),
    *("killed by external signal", "outofmemoryerror", "memoryerror", "answer from java side is"),
    *("sparkcontext was shut down", "stopped sparkcontext", "masters are unresponsive"),
    *("master removed our application", "fetchfailed", "connection refused", "connection reset"),
    *("connectexception", "timeoutexception", "broken pipe", "eofexception", "unknownhost"),
    *("connectionerror", "connectionreseterror", "connectionrefusederror", "brokenpipeerror"),
    *("timeouterror", "safemodeexception", "safe mode", "standbyexception"),
    *("blockmissingexception", "could not obtain block", "failed to find datanode"),
    *("could only be written to", "could only be replicated to"),
)
"""Parts of what Spark says, in lower case, when the cause may be gone at the next try."""


@contextmanager
def translated(work: str) -> Iterator[None]:
    """Raise an error of ours where Spark raises one of its own.

    Args:
        work: what the job does, as in ``"prepare brain_mri"``.

    Raises:
        MedloopError: a worker's own, such as a BundleError.
        Unavailable: the job was given up for a cause that can heal.
        SparkJobFailed: it was given up for any other cause.
    """
    from py4j.protocol import Py4JError
    from pyspark.errors import PySparkException

    try:
        yield
    except (PySparkException, Py4JError) as error:
        raise failure(work, str(error)) from error


def failure(work: str, said: str) -> MedloopError:
    """The error of ours for what Spark says of a job it gave up."""
    if ours := _of_worker(said):
        return ours
    # The cause is on a line of its own: alerts leave it out, as it may name a patient's file.
    if any(sign in said.lower() for sign in HEALING):
        return Unavailable(
            f"Spark gave up: {work}. Run it again once its executors and the store are well.\n"
            f"{_cause(said)}"
        )
    return SparkJobFailed(
        f"Spark gave up: {work}. The same input fails the same way; the log says where.\n"
        f"{_cause(said)}"
    )


def _of_worker(said: str) -> MedloopError | None:
    """The error of ours that a worker raised; the last one where it was raised from another."""
    for name, message in reversed(OURS.findall(said)):
        kind = getattr(errors, name, None)
        if kind is errors.BadImage:
            return errors.BadImage("failed_in_spark", message)
        if isinstance(kind, type) and issubclass(kind, MedloopError):
            return kind(message)
    return None


def _cause(said: str) -> str:
    """The line that names the cause: the last of a worker's traceback, or else the first."""
    lines = [line.strip() for line in said.splitlines() if line.strip()]
    raised = [line for line in lines if re.match(r"[\w.]*(Error|Exception): ", line)]
    return ([*raised[:1], *lines, "It does not say why."][0])[:500]

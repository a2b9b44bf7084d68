"""What the stack is made of: parts, each one or more supervised processes."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, NamedTuple

Say = Callable[[str], None]
"""Shows in a few words what a part is at."""


class Port(NamedTuple):
    """A port that a process listens on."""

    number: int
    setting: str
    """The ``MEDLOOP_...`` variable that moves it."""


@dataclass(frozen=True)
class Process:
    """One process that the supervisor keeps alive."""

    name: str
    command: Sequence[str]
    obstacle: Callable[[int], str | None]
    """Given when the process was started (seconds since the epoch, rounded up), says what it still
    waits for; ``None`` once it is ready. Asks the process itself; returns within a few seconds."""
    version: Callable[[], str] = lambda: ""
    """The release that it runs."""
    after: str | None = None
    """The process of the same part, named before it, that must be ready before it is started."""
    ports: Sequence[Port] = ()
    url: str | None = None
    """Where a person or a client reaches it."""
    environment: Mapping[str, str] = field(default_factory=dict)
    """What it finds in its environment besides what every process of the stack does."""
    stop_signal: Literal["TERM", "INT"] = "TERM"
    """The signal on which it ends in order."""
    stop_seconds: int = 20
    """How long that may take before its process group is killed."""


@dataclass(frozen=True)
class Part:
    """Processes that start and stop together."""

    name: str
    processes: Sequence[Process]
    prepare: Callable[[Say], None] = lambda _: None
    """What must be done before they start (make a data folder, migrate a database); does nothing
    where it is done already."""
    needs: Sequence[str] = ()
    """The parts that must be ready before this one is prepared."""
    patience: float = 600
    """Seconds it may take from start to ready; far more than it does on a machine at rest, as it
    may be started again on one that is busy with training."""

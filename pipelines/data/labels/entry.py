"""A file of a landing folder, with what is said of it before it is opened."""

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Entry:
    """A file of the landing folder (or one its table names), with what is said of it."""

    relative: str
    """Path below the landing folder, with ``/`` between parts, as the file system spells it."""
    landing_label: str | None = None
    label: str | None = None
    declared_split: str | None = None
    group: str | None = None
    metadata: dict[str, str] = field(default_factory=dict)
    reason: str | None = None
    """Why the file cannot be used whatever it holds; ``None`` if it may be."""
    message: str | None = None

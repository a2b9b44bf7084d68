"""One thing that may be removed: its kind, its age, its size and why it stays."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from pipelines.settings import Settings

Kind = Literal["prepared", "bundles", "cache", "scores", "served", "checks", "logs", "work"]
KINDS: dict[Kind, str] = {
    "prepared": "prepared images, features, data profiles, landing records",
    "bundles": "local copies of bundles",
    "cache": "cache",
    "scores": "scores",
    "served": "served samples, monitoring windows, reference profiles",
    "checks": "results of data checks and their pages",
    "logs": "logs",
    "work": "abandoned staging and work",
}
"""Kind → what it is, for a person."""
DAY = 86_400.0
UNPROVEN = "nothing proves that Medloop made it"
LINKED = "a symbolic link leads there"


@dataclass(frozen=True)
class Item:
    """One folder or file that may be removed."""

    kind: Kind
    path: str
    """Relative to the store (``store:phantom/scores/ab12``) or to the home (``home:cache/…``)."""
    used: float
    """When it was made or used last, in seconds since 1970."""
    pin: str | None
    """Why it stays whatever its age; ``None`` if its age decides."""
    size: Callable[[], int]
    """Its bytes."""
    remove: Callable[[], bool]
    """Removes it; ``False`` if it was used meanwhile, or is gone."""

    def is_due(self, settings: Settings, now: float) -> bool:
        """Whether it may go: it is not pinned, and older than its kind is kept."""
        days = days_of(settings, self.kind)
        return self.pin is None and days > 0 and now - self.used > days * DAY


def days_of(settings: Settings, kind: Kind) -> int:
    """For how many days a kind is kept; 0 for ever."""
    return int(getattr(settings, f"keep_{kind}_days"))

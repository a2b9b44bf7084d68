"""What is told of a trouble: that there is one, that it goes on, that it is over."""

import hashlib
from datetime import datetime
from typing import Literal

from pydantic import AwareDatetime, BaseModel, ConfigDict

from pipelines.alerts.alert import Alert


class Notice(BaseModel):
    """One message about one alert."""

    model_config = ConfigDict(frozen=True)

    alert: Alert
    state: Literal["begun", "goes on", "over", "test"]
    since: AwareDatetime
    at: AwareDatetime
    seen: int = 1
    """How often it was seen since it was told last."""
    host: str
    """The machine it comes from."""

    @property
    def headline(self) -> str:
        """One line that tells the most important."""
        states = {"begun": "", "goes on": " (goes on)", "over": "", "test": " (test)"}
        weight = "over" if self.state == "over" else self.alert.severity
        return f"[Medloop] {weight}{states[self.state]}: {self.alert.title}"

    @property
    def body(self) -> str:
        """The whole, as plain text."""
        facts = {
            "Kind": self.alert.kind,
            "Data set": self.alert.dataset,
            "About": self.alert.subject,
            "Since": _utc(self.since),
            "As of": _utc(self.at) if self.state == "goes on" else None,
            "Over": _utc(self.at) if self.state == "over" else None,
            "Seen": f"{self.seen} times since it was told last" if self.seen > 1 else None,
            "Machine": self.host,
            "Read on": self.alert.link,
        }
        told = "\n".join(f"{name + ':':10}{fact}" for name, fact in facts.items() if fact)
        before = "This is over. What was told of it:\n\n" if self.state == "over" else ""
        return f"{before}{self.alert.text.strip()}\n\n{told}\n"

    @property
    def id(self) -> str:
        """The same for one notice that is delivered twice."""
        return _digest(self.alert.key, self.host, self.at.isoformat(), self.state)

    @property
    def thread(self) -> str:
        """The same for all notices of one trouble."""
        return _digest(self.alert.key, self.host, self.since.isoformat())


def _utc(time: datetime) -> str:
    return f"{time:%Y-%m-%d %H:%M} UTC"


def _digest(*parts: str) -> str:
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:24]

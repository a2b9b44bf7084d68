"""What an alert says."""

from typing import Literal

from pydantic import BaseModel, ConfigDict

Kind = Literal[
    "check_failed",
    "gate_refused",
    "approval_wanted",
    "approval_refused",
    "run_failed",
    "run_late",
    "drift",
    "service_down",
    "part_down",
    "disk_full",
    "backup_failed",
]
Severity = Literal["info", "warning", "critical"]


class Alert(BaseModel):
    """Something that went wrong, told to people once.

    Nothing in it may name a patient: data sets, versions, figures and run ids only.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: Kind
    severity: Severity
    dataset: str | None = None
    subject: str
    """What it is about (``check_landing``, ``version 7``, ``service``); with kind and data set it
    tells whether two alerts are the same trouble."""
    title: str
    """One line."""
    text: str
    """What happened, with figures, and what to do."""
    link: str | None = None
    """Where to read on: an Airflow run, an MLflow page, a report."""

    @property
    def key(self) -> str:
        """The same for two alerts of one trouble."""
        return "/".join((self.kind, self.dataset or "-", self.subject))

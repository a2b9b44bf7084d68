"""What an alert says."""

from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict

from pipelines.redaction import without_credentials

Kind = Literal[
    "check_failed",
    "gate_refused",
    "approval_wanted",
    "approval_refused",
    "rolled_back",
    "run_failed",
    "run_late",
    "drift",
    "performance_low",
    "service_down",
    "part_down",
    "disk_full",
    "backup_failed",
    "spec_invalid",
]
Severity = Literal["info", "warning", "critical"]

TITLE_LENGTH = 150


def _one_line(text: object) -> str:
    """Printable, without line breaks: it becomes a header of an e-mail."""
    printable = "".join(c if c.isprintable() else " " for c in without_credentials(str(text)))
    line = " ".join(printable.split())
    return line if len(line) <= TITLE_LENGTH else line[: TITLE_LENGTH - 1] + "…"


OneLine = Annotated[str, BeforeValidator(_one_line)]
Redacted = Annotated[str, AfterValidator(without_credentials)]


class Alert(BaseModel):
    """Something that went wrong, told to people once.

    Nothing in it may name a patient: data sets, versions, figures and run ids only.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: Kind
    severity: Severity
    dataset: str | None = None
    subject: OneLine
    """What it is about (``check_landing``, ``version 7``, ``service``); with kind and data set it
    tells whether two alerts are the same trouble."""
    title: OneLine
    """One line; what does not fit is cut off."""
    text: Redacted
    """What happened, with figures, and what to do."""
    link: Redacted | None = None
    """Where to read on: an Airflow run, an MLflow page, a report."""

    @property
    def key(self) -> str:
        """The same for two alerts of one trouble."""
        return alert_key(self.kind, self.dataset, self.subject)


def alert_key(kind: Kind, dataset: str | None, subject: str) -> str:
    """The key by which `pipelines.alerts.send.resolve` knows a trouble."""
    return "/".join((kind, dataset or "-", _one_line(subject)))

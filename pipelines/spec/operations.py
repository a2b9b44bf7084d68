"""When a data set is trained anew, who is asked, and what is watched meanwhile."""

from typing import Annotated

from pydantic import AfterValidator, Field

from pipelines.cron import require_cron
from pipelines.spec.section import Section, Share

Cron = Annotated[str, AfterValidator(require_cron)]


class RetrainSpec(Section):
    """What wakes the retraining DAG, and what is enough to train for."""

    schedule: Cron | None = None
    """Cron expression or preset (UTC); no schedule if null."""
    on_landing: bool = True
    """Whether new files in the landing folder wake it, once they have stopped arriving."""
    min_new_images: int = Field(default=1, ge=1)
    """Images that are new to the champion or have changed since (label, group, split, mask; see
    docs/landing.md), below which new files are taken in but nothing is trained; asked of runs
    that the landing folder started, not of others."""
    min_new_share: Share = 0.0
    """The same as a share of the images the champion was made from; both must be reached."""
    on_drift: bool = False
    """Whether drift that the monitor has confirmed wakes it."""
    profile: bool = True
    """Whether each run draws what its prepared images look like (docs/evidence/profile.md)."""
    deadline_hours: float | None = Field(default=24, gt=0)
    """When a run that has not ended is told of, in hours since it was queued; the time in which an
    approval may be given is added. Never, if null."""


class ApprovalSpec(Section):
    """Who is asked between the gate and the promotion."""

    users: tuple[str, ...] = ()
    """Airflow users who may answer; anybody who may log in, if empty."""
    hours: float = Field(default=24, gt=0)
    """How long an answer is waited for; none means not promoted."""


class MonitorSpec(Section):
    """How the served traffic is watched (docs/monitoring.md)."""

    schedule: Cron | None = "@hourly"
    """Cron expression or preset (UTC) of the monitoring DAG; by hand only if null."""
    window: int = Field(default=200, ge=50, le=100_000)
    """Answers that are judged together."""
    false_alarms: float = Field(default=0.01, ge=0.001, lt=0.5)
    """Share of windows of clean traffic in which drift may be seen, of any of its kinds."""
    troubled: int = Field(default=2, ge=1)
    """Windows with trouble, among the last ``of`` and with the latest one, that make an alarm."""
    of: int = Field(default=5, ge=1, le=100)


class AutoRollbackSpec(Section):
    """When a promoted version gives way to the one before (docs/after-promotion.md).

    The limits say how much worse than the version before it may be; one that is null is not
    looked at.
    """

    hours: float = Field(default=24, gt=0, le=168)
    """How long a version is watched after its promotion."""
    answers: int = Field(default=20, ge=10, le=1000)
    """Answers after which it is compared first; then after twice as many, and so on."""
    false_alarms: float = Field(default=0.001, ge=1e-6, lt=0.1)
    """Probability that a version which is as good as the one before is rolled back."""
    errors: Share | None = 0.02
    """Rise of the share of requests that fail (500, 504)."""
    latency: float | None = Field(default=2.0, ge=1.2)
    """95th percentile of the answer time, as a multiple of that before."""
    refused: Share | None = None
    """Rise of the share of images that are refused."""
    abstained: Share | None = None
    """Rise of the share of images on which the model abstains."""
    classes: Share | None = None
    """Rise or fall of the share of any class among the answers."""
    confidence: Share | None = None
    """Rise above 10 % of the share of answers that are less confident than nine in ten were."""

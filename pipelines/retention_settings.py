"""How long an installation keeps what can be removed; part of `pipelines.settings.Settings`."""

from typing import Annotated

from pydantic import Field, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from pipelines.cron import require_cron

BY_HAND = "none"
"""Value of ``prune_schedule`` where only people start it."""
MONITOR_LOOKS_BACK = 31
"""Days of served samples that the monitor may still read (`pipelines.monitoring.windows`)."""
Days = Annotated[int, Field(ge=0, le=36_500)]


class RetentionSettings(BaseSettings):
    """Days for which each kind is kept; 0 keeps it for ever. See docs/retention.md."""

    model_config = SettingsConfigDict(use_attribute_docstrings=True)

    prune_schedule: str = "0 4 * * 0"
    """When Airflow's DAG prune runs: a cron expression or preset (UTC), or none for by hand only
    (medloop prune)."""
    keep_prepared_days: Days = 30
    """Days for which prepared images, features, data profiles and landing records are kept after
    their last use, unless a version in use needs them; 0: for ever, as in all settings keep_…"""
    keep_bundles_days: Days = 7
    """The same for local copies of bundles that do not serve; MLflow keeps each bundle."""
    keep_cache_days: Days = 14
    """The same for files of the cache."""
    keep_scores_days: Days = 180
    """The same for the results of batch scoring."""
    keep_served_days: Days = 365
    """The same for served samples, monitoring windows and reference profiles; at least 31."""
    keep_checks_days: Days = 90
    """The same for results of data checks and their pages in the Data Docs."""
    keep_logs_days: Days = 30
    """The same for logs and for Airflow's records of past runs."""
    keep_work_days: Days = 1
    """The same for unfinished work that no process is working on."""

    @field_validator("prune_schedule")
    @classmethod
    def _schedule(cls, text: str) -> str:
        return text if text == BY_HAND else require_cron(text)

    @field_validator("keep_served_days")
    @classmethod
    def _monitored(cls, days: int) -> int:
        if 0 < days < MONITOR_LOOKS_BACK:
            raise ValueError(
                f"the monitor still reads samples of the last {MONITOR_LOOKS_BACK} days; write "
                f"{MONITOR_LOOKS_BACK} or more, or 0 to keep them for ever"
            )
        return days

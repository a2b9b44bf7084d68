"""The queue of jobs (docs/queue.md); part of `pipelines.settings.Settings`."""

from pathlib import Path

from pydantic import Field, ValidationInfo, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict


class QueueSettings(BaseSettings):
    """What the service takes as jobs, to answer later."""

    model_config = SettingsConfigDict(use_attribute_docstrings=True)

    queue: bool = True
    """Whether the service takes jobs (``POST /jobs``) and the stack has a part that works them off;
    both need Medloop's PostgreSQL."""
    queue_jobs: int = Field(default=1000, ge=1)
    """Most jobs that may wait; beyond that, the service answers 503."""
    queue_megabytes: float = Field(default=2000.0, gt=0)
    """Most megabytes that the images of waiting jobs may take in the database."""
    queue_at_once: int = Field(default=2, ge=1, le=64)
    """How many normal jobs the service is asked at once, and how many urgent ones besides."""
    queue_wait_hours: float = Field(default=24.0, gt=0)
    """How long a job may wait; then it is ``expired`` and its image is removed."""
    queue_keep_hours: float = Field(default=24.0, gt=0)
    """How long an ended job and its result are kept."""
    queue_webhook_origins: str = ""
    """Origins, comma-separated, that a job may name in ``notify`` (``https://ris.example.org``):
    they hear when it has ended. None by default."""
    queue_webhook_secret_file: Path | None = None
    """A file with the secret, alone, that these notices are signed with; needed with origins."""

    @field_validator("queue_webhook_secret_file")
    @classmethod
    def _signed(cls, path: Path | None, info: ValidationInfo) -> Path | None:
        if info.data.get("queue_webhook_origins") and path is None:
            raise ValueError(
                "MEDLOOP_QUEUE_WEBHOOK_ORIGINS is set, and notices are signed: name a file with a "
                "secret"
            )
        return path.expanduser().absolute() if path else None

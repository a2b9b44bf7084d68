"""The latest promotion of each data set, while its version is watched.

``$MEDLOOP_HOME/promotions/<dataset>.json``, written before the alias moves. A process that watches
may be killed at any time: what it has decided is in the file, so its successor finishes it.
"""

import logging
from datetime import UTC, datetime
from pathlib import Path

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, ValidationError

from pipelines.atomic import written_whole
from pipelines.settings import Settings

logger = logging.getLogger(__name__)


class Promotion(BaseModel):
    """One version took the place of another."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    dataset: str
    version: int
    previous: int
    """The version that served before."""
    at: AwareDatetime = Field(default_factory=lambda: datetime.now(UTC))
    reasons: tuple[str, ...] = ()
    """Why it is rolled back; nothing unless that is decided."""
    outcome: str | None = None
    """What came of watching it; ``None`` while it is watched."""


def latest(settings: Settings, dataset: str) -> Promotion | None:
    """The latest promotion of a data set; ``None`` if there was none, or its file is damaged."""
    try:
        return Promotion.model_validate_json(_file(settings, dataset).read_bytes())
    except FileNotFoundError:
        return None
    except (OSError, ValidationError) as error:
        logger.error("%s: the note of the last promotion cannot be read: %s", dataset, error)
        return None


def watched(settings: Settings) -> list[Promotion]:
    """The promotions whose versions are watched."""
    files = sorted(_file(settings, "any").parent.glob("[!.]*.json"))
    found = [latest(settings, file.stem) for file in files]
    return [promotion for promotion in found if promotion and promotion.outcome is None]


def note(settings: Settings, promotion: Promotion) -> None:
    """Write a promotion, in place of the one before."""
    file = _file(settings, promotion.dataset)
    file.parent.mkdir(parents=True, exist_ok=True)
    with written_whole(file) as part:
        part.write_text(promotion.model_dump_json() + "\n", encoding="utf-8")


def _file(settings: Settings, dataset: str) -> Path:
    return settings.home / "promotions" / f"{dataset}.json"

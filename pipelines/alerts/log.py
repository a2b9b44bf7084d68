"""Alerts in the log of whoever sends them, and in one file of their own."""

import json
import logging
import os
from collections import deque
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from pipelines.alerts.notice import Notice
from pipelines.errors import DeliveryFailed
from pipelines.settings import Settings

logger = logging.getLogger(__name__)

LEVELS = {"info": logging.INFO, "warning": logging.WARNING, "critical": logging.CRITICAL}


def alert_log(settings: Settings) -> Path:
    """The file: a line of JSON for each notice."""
    return settings.home / "alerts" / "alerts.jsonl"


class Log:
    """Always there.

    Args:
        settings: whose file it is.
    """

    name = "log"

    def __init__(self, settings: Settings) -> None:
        self._path = alert_log(settings)

    def deliver(self, notice: Notice) -> None:
        """Write one line, whole, whoever else writes too."""
        over = notice.state in ("over", "test")
        level = logging.INFO if over else LEVELS[notice.alert.severity]
        logger.log(level, "%s\n%s", notice.headline, notice.body)
        line = json.dumps(notice.model_dump(mode="json"), ensure_ascii=False) + "\n"
        try:
            self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            file = os.open(self._path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
            try:
                os.write(file, line.encode())
            finally:
                os.close(file)
        except OSError as error:
            raise DeliveryFailed(f"{self._path} cannot be written: {error.strerror}.") from error


def latest(settings: Settings, count: int) -> list[Notice]:
    """The last notices of the file, the oldest first; lines that are cut off are left out."""
    path = alert_log(settings)
    if not path.exists():
        return []
    with path.open(encoding="utf-8", errors="replace") as file:
        lines = deque(file, maxlen=count)
    return [notice for line in lines if (notice := _read(line))]


def _read(line: str) -> Notice | None:
    try:
        fields: Any = json.loads(line)
        return Notice.model_validate(fields)
    except (ValueError, ValidationError):
        return None

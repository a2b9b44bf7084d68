"""The queue's metrics: a file that its process writes every few seconds."""

import time
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

from prometheus_client import CollectorRegistry, Gauge, write_to_textfile
from prometheus_client.parser import text_string_to_metric_families

from pipelines.settings import Settings

SILENT_SECONDS = 60
"""The file is written every few seconds; an older one says that the process hangs or is gone."""
ENDED = ("done", "failed", "expired")


@dataclass(frozen=True)
class Figures:
    """What the queue holds, for metrics."""

    waiting: int
    bytes: int
    """Of all images that wait."""
    oldest_seconds: float
    """Since the oldest job that has not ended was submitted; 0 where none waits."""
    kept: dict[str, int]
    """Status → jobs of it that have ended and are still kept."""


def figures_file(settings: Settings) -> Path:
    """Where the queue's metrics are; the watch serves them, and they show that it works."""
    return settings.metrics / "queue.prom"


def summary(settings: Settings) -> str | None:
    """How many jobs wait, in a line; ``None`` where no queue has written lately."""
    file = figures_file(settings)
    try:
        if time.time() - file.stat().st_mtime > SILENT_SECONDS:
            return None
        families = list(text_string_to_metric_families(file.read_text("utf-8")))
    except OSError:
        return None
    said = {
        sample.labels.get("status", sample.name.removeprefix("medloop_queue_")): int(sample.value)
        for family in families
        for sample in family.samples
    }
    waiting, oldest = said["waiting_jobs"], timedelta(seconds=said["oldest_seconds"])
    oldest_text = f", the oldest for {oldest}" if waiting else ""
    ended = ", ".join(f"{said[status]} {status}" for status in ENDED)
    return f"Jobs: {waiting} wait{oldest_text}; ended and kept: {ended}."


def show(file: Path, figures: Figures) -> None:
    """Write the queue's metrics for Prometheus."""
    registry = CollectorRegistry()

    def gauge(name: str, text: str, value: float) -> None:
        Gauge(f"medloop_queue_{name}", text, registry=registry).set(value)

    gauge("waiting_jobs", "Jobs that have not ended.", figures.waiting)
    gauge("waiting_bytes", "Bytes of their images.", figures.bytes)
    gauge("oldest_seconds", "Age of the oldest job that has not ended.", figures.oldest_seconds)
    ended = Gauge(
        "medloop_queue_ended_jobs",
        "Jobs that have ended and are kept, by status: done, failed, expired.",
        ["status"],
        registry=registry,
    )
    for status in ENDED:
        ended.labels(status).set(figures.kept.get(status, 0))
    file.parent.mkdir(parents=True, exist_ok=True)
    write_to_textfile(str(file), registry)

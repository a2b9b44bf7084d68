"""The queue's metrics: a file that its process writes every few seconds."""

from dataclasses import dataclass
from pathlib import Path

from prometheus_client import CollectorRegistry, Gauge, write_to_textfile

from pipelines.settings import Settings


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
    for status in "done", "failed", "expired":
        ended.labels(status).set(figures.kept.get(status, 0))
    file.parent.mkdir(parents=True, exist_ok=True)
    write_to_textfile(str(file), registry)

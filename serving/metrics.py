"""What the service counts for Prometheus; shown at ``/metrics``."""

import os
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import psutil
from prometheus_client import (
    CONTENT_TYPE_LATEST,
    REGISTRY,
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    generate_latest,
)
from prometheus_client.multiprocess import MultiProcessCollector, mark_process_dead

if TYPE_CHECKING:
    from pipelines.release.predictor import Predictor
    from serving.records import Answered

MEDIA_TYPE = CONTENT_TYPE_LATEST
OUTCOMES = {500: "failed", 503: "unavailable", 504: "failed"}

REQUESTS = Counter(
    "medloop_requests",
    "Requests, by route and outcome: ok, refused (4xx), unavailable (503), failed (500, 504).",
    ["route", "outcome"],
)
SECONDS = Histogram(
    "medloop_request_seconds",
    "From a request's first byte to its answer's, by route.",
    ["route"],
    buckets=(0.002, 0.003, 0.005, 0.007, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 30),
)
REFUSALS = Counter(
    "medloop_refused", "Requests and images of batches refused, by reason.", ["code"]
)
BATCH_IMAGES = Histogram(
    "medloop_batch_images", "Images of a batch request.", buckets=(1, 2, 4, 8, 16, 32)
)
MODEL_BATCH_IMAGES = Histogram(
    "medloop_model_batch_images",
    "Images that the model was asked about at once, with adaptive batching.",
    buckets=(1, 2, 4, 8, 16),
)
PREDICTIONS = Counter(
    "medloop_predictions",
    "Images classified, by predicted class.",
    ["dataset", "model_version", "predicted"],
)
CONFIDENCE = Histogram(
    "medloop_confidence",
    "Probability of the predicted class.",
    ["dataset"],
    buckets=(0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.99, 1.0),
)
ABSTAINED = Counter(
    "medloop_abstained",
    "Answers marked as not to be relied on, by reason; one may have several.",
    ["dataset", "reason"],
)
REVIEWS = Counter(
    "medloop_reviews", "Answers that ask for a person to see the case first.", ["dataset"]
)
WAITING = Gauge(
    "medloop_waiting_images",
    "Images that wait for a thread, in all workers.",
    multiprocess_mode="livesum",
)
SWAPS = Counter(
    "medloop_swaps", "Champions taken over or refused.", ["dataset", "model_version", "outcome"]
)
CHAMPION = Gauge(
    "medloop_champion_workers",
    "Workers that answer with a model; 0 once it is replaced.",
    ["dataset", "model_version", "run_id"],
    multiprocess_mode="livesum",
)
SAMPLES = Counter(
    "medloop_samples", "Answers sampled for monitoring, by outcome: written, lost.", ["outcome"]
)
UPLOADS = Counter(
    "medloop_uploads",
    "Files sent for landing folders, by outcome: accepted, duplicate, refused.",
    ["dataset", "outcome"],
)
AUDIT_LOST = Counter("medloop_audit_lost", "Lines of the audit log that could not be written.")


def count_refusal(code: str) -> None:
    """Count a request that was refused."""
    REFUSALS.labels(code).inc()


def count_request(route: str, *, status: int, seconds: float) -> None:
    """Count a request by its route (a known one, or ``other``), its answer's status and time."""
    REQUESTS.labels(route, OUTCOMES.get(status) or ("ok" if status < 400 else "refused")).inc()
    SECONDS.labels(route).observe(seconds)


def count_batch(images: int) -> None:
    """Count a batch request by its size."""
    BATCH_IMAGES.observe(images)


def count_model_batch(images: int) -> None:
    """Count a batch that adaptive batching has formed."""
    MODEL_BATCH_IMAGES.observe(images)


def count_answer(answered: "Answered") -> None:
    """Count one classified image."""
    answer = answered.prediction
    PREDICTIONS.labels(answer.dataset, answer.model_version, answer.class_name).inc()
    CONFIDENCE.labels(answer.dataset).observe(answer.confidence)
    for reason in answer.abstained_because:
        ABSTAINED.labels(answer.dataset, reason.code).inc()
    if answer.review.needed:
        REVIEWS.labels(answer.dataset).inc()


def count_samples(outcome: Literal["written", "lost"], count: int) -> None:
    """Count samples for monitoring."""
    SAMPLES.labels(outcome).inc(count)


def show_champion(new: "Predictor", old: "Predictor | None") -> None:
    """Show that this worker answers with a new model instead of an old one."""
    for predictor, workers in ((old, 0), (new, 1)):
        if predictor:
            manifest = predictor.bundle.manifest
            labels = (manifest.dataset, manifest.model_version, manifest.run_id)
            CHAMPION.labels(*labels).set(workers)


def count_upload(dataset: str, outcome: str) -> None:
    """Count a file that was sent for a landing folder."""
    UPLOADS.labels(dataset, outcome).inc()


def count_audit_lost(lines: int) -> None:
    """Count lines of the audit log that are lost."""
    AUDIT_LOST.inc(lines)


def count_swap(dataset: str, version: int | None, *, outcome: str) -> None:
    """Count a new champion that was taken over (``taken``) or ``refused``."""
    SWAPS.labels(dataset, version, outcome).inc()


def exposed() -> bytes:
    """The figures of all workers together, in Prometheus's text format."""
    registry = CollectorRegistry()
    _forget_dead_workers()
    try:
        MultiProcessCollector(registry)  # type: ignore[no-untyped-call]
    except ValueError:  # no folder is set for what processes share, so there is one only
        registry = REGISTRY
    return generate_latest(registry)


def _forget_dead_workers() -> None:
    """Take away what ended workers said of themselves now; what they counted stays counted."""
    folder = os.environ.get("PROMETHEUS_MULTIPROC_DIR")
    for file in Path(folder).glob("gauge_live*_*.db") if folder else ():
        pid = int(file.stem.rpartition("_")[2])
        if not psutil.pid_exists(pid):
            mark_process_dead(pid, folder)  # type: ignore[no-untyped-call]

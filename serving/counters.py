"""What the service counts for Prometheus; told at ``/metrics``."""

from prometheus_client import Counter, Gauge, Histogram

from serving.observed import Answered

REQUESTS = Counter(
    "medloop_requests", "Requests answered, by route and outcome.", ["route", "outcome"]
)
REFUSALS = Counter("medloop_refused", "Requests refused, by reason.", ["code"])
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
WAITING = Gauge(
    "medloop_waiting_images",
    "Images that wait for a thread, in all workers.",
    multiprocess_mode="livesum",
)
SWAPS = Counter(
    "medloop_swaps", "Champions taken over or refused.", ["dataset", "model_version", "outcome"]
)
AUDIT_LOST = Counter("medloop_audit_lost", "Lines of the audit log that could not be written.")


def count_refusal(code: str) -> None:
    """Count a request that was refused."""
    REFUSALS.labels(code).inc()


def count_request(route: str, outcome: str) -> None:
    """Count a request by its route and outcome (``ok`` or ``refused``)."""
    REQUESTS.labels(route, outcome).inc()


def count_answer(answered: Answered) -> None:
    """Count one classified image."""
    answer = answered.prediction
    PREDICTIONS.labels(answer.dataset, answer.model_version, answer.class_name).inc()
    CONFIDENCE.labels(answer.dataset).observe(answer.confidence)


def count_audit_lost(lines: int) -> None:
    """Count lines of the audit log that are lost."""
    AUDIT_LOST.inc(lines)


def count_swap(dataset: str, version: int | None, *, outcome: str) -> None:
    """Count a new champion that was taken over (``taken``) or ``refused``."""
    SWAPS.labels(dataset, version, outcome).inc()

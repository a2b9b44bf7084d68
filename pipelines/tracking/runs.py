"""A candidate's run: found by the fingerprint of what went in, begun once, resumed if cut off.

A run's tags say how far it came: ``medloop.fingerprint`` what it is, ``medloop.trained`` that
its model stands, ``medloop.skipped`` why it has none, ``medloop.device`` what it was trained on.
"""

import logging
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from pipelines.errors import TrackingUnavailable
from pipelines.tracking.client import Tracking

if TYPE_CHECKING:
    from mlflow.entities import Metric, Run

logger = logging.getLogger(__name__)

FINGERPRINT = "medloop.fingerprint"
TRAINED = "medloop.trained"
SKIPPED = "medloop.skipped"
DEVICE = "medloop.device"
BATCH_SECONDS = 2.0
AWAY_SECONDS = 30.0
"""Between two tries to reach a server that is away."""
MAX_METRICS = 900
"""MLflow takes at most 1,000 in one request."""


def find(tracking: Tracking, experiment: str, *, fingerprint: str) -> "Run | None":
    """The newest run with a fingerprint, whatever became of it."""
    with tracking.reaching() as client:
        runs = client.search_runs(
            [experiment],
            filter_string=f"tags.`{FINGERPRINT}` = '{fingerprint}'",
            order_by=["attributes.start_time DESC"],
            max_results=1,
        )
    return runs[0] if runs else None


def every(tracking: Tracking, experiment: str, *, condition: str) -> "list[Run]":
    """All runs of an experiment for which a condition holds, deleted ones too, oldest first.

    Args:
        tracking: where they are.
        experiment: its id.
        condition: in MLflow's language: ``tags.`medloop.trained` = 'true'``.
    """
    from mlflow.entities import ViewType

    found: list[Run] = []
    token: str | None = ""
    with tracking.reaching() as client:
        while token is not None:
            page = client.search_runs(
                [experiment],
                filter_string=condition,
                run_view_type=ViewType.ALL,
                order_by=["attributes.start_time ASC"],
                page_token=token or None,
            )
            found += page
            token = page.token or None
    return found


@contextmanager
def open_run(
    tracking: Tracking, experiment: str, *, fingerprint: str, name: str, tags: Mapping[str, str]
) -> Iterator[str]:
    """Begin a run, or take up the one of this fingerprint that was cut off.

    While the block runs, system metrics are logged. The run ends as finished, or as failed if
    the block raises; a process that is killed leaves it running, to be taken up again.

    Yields:
        The run's id.
    """
    import mlflow

    found = find(tracking, experiment, fingerprint=fingerprint)
    with tracking.reaching():
        run = mlflow.start_run(
            run_id=found.info.run_id if found else None,
            experiment_id=None if found else experiment,
            run_name=None if found else name,
            tags=dict(tags) | {FINGERPRINT: fingerprint},
            log_system_metrics=True,
        )
        with run:
            yield str(run.info.run_id)


def log_params(tracking: Tracking, run_id: str, params: Mapping[str, Any]) -> None:
    """Log a nested mapping as params, with dots between its keys: ``candidate.epochs``.

    Values stand as they were first logged: a run that is resumed logs the same again.
    """
    from mlflow.entities import Param

    with tracking.reaching() as client:
        client.log_batch(run_id, params=[Param(k, str(v)) for k, v in flatten(params).items()])


def flatten(params: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """``{"a": {"b": 1}}`` → ``{"a.b": 1}``."""
    flat: dict[str, Any] = {}
    for name, value in params.items():
        if isinstance(value, Mapping):
            flat |= flatten(value, f"{prefix}{name}.")
        else:
            flat[prefix + name] = value
    return flat


def set_tags(tracking: Tracking, run_id: str, tags: Mapping[str, Any]) -> None:
    """Set tags of a run."""
    from mlflow.entities import RunTag

    with tracking.reaching() as client:
        client.log_batch(run_id, tags=[RunTag(key, str(value)) for key, value in tags.items()])


def log_metrics(tracking: Tracking, run_id: str, metrics: Mapping[str, float]) -> None:
    """Log single figures, all in one request or a few."""
    book = MetricBook(tracking, run_id)
    book.add(metrics, step=0)
    book.flush()


@dataclass
class MetricBook:
    """Figures by step, sent together every two seconds: one request costs some 70 ms.

    A server that is away for a while does not stop the work whose figures these are: they wait.

    Args:
        tracking: where they go.
        run_id: whose they are.
    """

    tracking: Tracking
    run_id: str
    _waiting: "list[Metric]" = field(default_factory=list)
    _due: float = field(default_factory=lambda: time.monotonic() + BATCH_SECONDS)

    def add(self, metrics: Mapping[str, float], *, step: int) -> None:
        """Note the figures of a step; sends what waits if it waited long enough."""
        from mlflow.entities import Metric

        now = int(time.time() * 1000)
        self._waiting += [Metric(key, float(value), now, step) for key, value in metrics.items()]
        if time.monotonic() < self._due:
            return
        try:
            self.flush()
        except TrackingUnavailable as error:
            self._due = time.monotonic() + AWAY_SECONDS
            logger.warning("%d figures wait for MLflow: %s", len(self._waiting), error)

    def catch_up(self, history: Sequence[Mapping[str, float]]) -> None:
        """Send the steps of a history, counted from 1, that the run has not got: a process that
        was killed had made them but not sent them. What was not trained has no history."""
        logged = (
            steps_logged(self.tracking, self.run_id, next(iter(history[0]))) if history else set()
        )
        for step, metrics in enumerate(history, start=1):
            if step not in logged:
                self.add(metrics, step=step)
        self.flush()

    def flush(self) -> None:
        """Send what waits.

        Raises:
            TrackingUnavailable: MLflow does not answer; what waits is kept.
        """
        with self.tracking.reaching() as client:
            while self._waiting:
                client.log_batch(self.run_id, metrics=self._waiting[:MAX_METRICS])
                del self._waiting[:MAX_METRICS]
        self._due = time.monotonic() + BATCH_SECONDS


def steps_logged(tracking: Tracking, run_id: str, metric: str) -> set[int]:
    """The steps for which a run has a figure."""
    with tracking.reaching() as client:
        return {entry.step for entry in client.get_metric_history(run_id, metric)}

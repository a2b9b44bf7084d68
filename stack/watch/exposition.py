"""What the watch has seen, in Prometheus' words; with what tasks have left in files."""

import logging
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path
from threading import Lock

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.registry import Collector

from pipelines.alerts.notice import Notice
from pipelines.scheduler import EndedRun
from stack.watch.observation import Observation

logger = logging.getLogger(__name__)


class Exposition(Collector):
    """The latest look, for whoever asks.

    Args:
        files: the folder of ``*.prom`` files that others write (`Settings.metrics`).
    """

    def __init__(self, files: Path) -> None:
        self._files = files
        self._lock = Lock()
        self._latest: list[Metric] = []
        self._rounds: Counter[str] = Counter(ok=0, failed=0)

    def show(
        self,
        seen: Observation,
        *,
        runs: Iterable[EndedRun],
        troubles: Iterable[Notice],
        waiting: Iterable[str],
    ) -> None:
        """Take over what is to be told from now on.

        Args:
            seen: the latest look.
            runs: the last ended run of each DAG.
            troubles: what is told of and not over.
            waiting: the channel of each notice that is not delivered yet.
        """
        metrics = [*_parts(seen), *_rooms(seen), *_runs(runs), *_alerts(troubles, waiting)]
        metrics.append(
            GaugeMetricFamily(
                "medloop_watch_last_look_timestamp_seconds",
                "When the watch last looked.",
                value=seen.at,
            )
        )
        with self._lock:
            self._latest = metrics
            self._rounds["ok"] += 1

    def miss(self) -> None:
        """Count a look that failed."""
        with self._lock:
            self._rounds["failed"] += 1

    def collect(self) -> Iterator[Metric]:
        """All of it, each name once."""
        with self._lock:
            yield from self._latest
            looks = CounterMetricFamily(
                "medloop_watch_looks", "How often the watch looked.", labels=["outcome"]
            )
            for outcome, count in self._rounds.items():
                looks.add_metric([outcome], count)
        yield looks
        yield from left_by_tasks(self._files)


def left_by_tasks(folder: Path) -> Iterator[Metric]:
    """What the files of a folder say, put together by name; a file that cannot be read counts."""
    metrics: dict[str, Metric] = {}
    unreadable = 0
    for path in sorted(folder.glob("*.prom")):
        try:
            families = list(text_string_to_metric_families(path.read_text("utf-8")))
        except (OSError, ValueError) as error:
            logger.warning("%s is no file of metrics: %s", path, error)
            unreadable += 1
            continue
        for family in families:
            metrics.setdefault(
                family.name, Metric(family.name, family.documentation, family.type)
            ).samples.extend(family.samples)
    yield from metrics.values()
    yield GaugeMetricFamily(
        "medloop_metric_files_unreadable",
        "Files in the folder of metrics that are none.",
        value=unreadable,
    )


def _parts(seen: Observation) -> Iterator[Metric]:
    up = GaugeMetricFamily(
        "medloop_part_up",
        "1 where a process is ready, 0 where it should be; none where it was stopped on purpose.",
        labels=["part", "process"],
    )
    restarts = CounterMetricFamily(
        "medloop_part_restarts",
        "How often a process ended by itself, since supervisord began.",
        labels=["part", "process"],
    )
    for standing in seen.standings:
        labels = [standing.part, standing.process]
        restarts.add_metric(labels, standing.restarts)
        if standing.state != "stopped":
            up.add_metric(labels, standing.state == "ready")
    yield up
    yield restarts
    yield GaugeMetricFamily(
        "medloop_supervisor_up", "1 while supervisord is there.", value=seen.supervised
    )


def _rooms(seen: Observation) -> Iterator[Metric]:
    size = GaugeMetricFamily(
        "medloop_room_size_bytes", "The disk of the home, and HDFS.", labels=["room"]
    )
    free = GaugeMetricFamily("medloop_room_free_bytes", "What is free of it.", labels=["room"])
    for room in seen.rooms:
        size.add_metric([room.name], room.total)
        free.add_metric([room.name], room.free)
    yield size
    yield free


def _runs(runs: Iterable[EndedRun]) -> Iterator[Metric]:
    success = GaugeMetricFamily(
        "medloop_dag_last_run_success",
        "1 where a DAG's last ended run ended well.",
        labels=["dag"],
    )
    ended = GaugeMetricFamily(
        "medloop_dag_last_run_timestamp_seconds", "When it ended.", labels=["dag"]
    )
    took = GaugeMetricFamily("medloop_dag_last_run_seconds", "How long it took.", labels=["dag"])
    for run in runs:
        success.add_metric([run.dag], run.state == "success")
        ended.add_metric([run.dag], run.ended.timestamp())
        took.add_metric([run.dag], run.seconds)
    yield success
    yield ended
    yield took


def _alerts(troubles: Iterable[Notice], waiting: Iterable[str]) -> Iterator[Metric]:
    told = GaugeMetricFamily(
        "medloop_alerts_open",
        "Troubles that were told of and are not over.",
        labels=["kind", "severity"],
    )
    kinds = Counter((notice.alert.kind, notice.alert.severity) for notice in troubles)
    for labels, count in kinds.items():
        told.add_metric(labels, count)
    outbox = GaugeMetricFamily(
        "medloop_alerts_waiting", "Notices that a channel has not taken yet.", labels=["channel"]
    )
    for channel, count in Counter(waiting).items():
        outbox.add_metric([channel], count)
    yield told
    yield outbox

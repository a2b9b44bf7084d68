"""What Prometheus is told, and that the example rules and dashboard ask for what there is."""

import json
import re
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import yaml
from prometheus_client import CollectorRegistry, Gauge, generate_latest, write_to_textfile

from pipelines.alerts.alert import Alert
from pipelines.alerts.book import make_notice
from pipelines.backup.state import BackupState, write_state
from pipelines.jobs.figures import Figures, figures_file, show
from pipelines.scheduler import EndedRun
from pipelines.settings import PROJECT, Settings
from stack.room import Room
from stack.watch.exposition import Exposition
from stack.watch.observation import Observation, Standing

GRAFANA = PROJECT / "docs" / "grafana"
DASHBOARD = json.loads((GRAFANA / "medloop-operations.json").read_text("utf-8"))
GROUPS = yaml.safe_load((GRAFANA / "medloop-alerts.yml").read_text("utf-8"))["groups"]
RULES = next(group["rules"] for group in GROUPS if group["name"] == "medloop-operations")
SEEN = Observation(
    at=1_800_000_000.0,
    supervised=True,
    changing=False,
    standings=(
        Standing("hdfs", "namenode", "ready", None, 2),
        Standing("hdfs", "datanode-0", "failed", "see its log", 5),
        Standing("service", "service", "stopped", None, 0),
    ),
    rooms=(Room("home", total=1000, free=400),),
)
RUN = EndedRun("retrain_phantom", "failed", datetime.fromtimestamp(1_800_000_000, UTC), 61.0)
DOWN = make_notice(
    Alert(kind="part_down", severity="warning", subject="hdfs", title="hdfs", text=""),
    "begun",
    since=0,
    at=0,
)


def told(files: Path) -> CollectorRegistry:
    exposition = Exposition(files)
    registry = CollectorRegistry(auto_describe=False)
    registry.register(exposition)
    exposition.show(SEEN, runs=[RUN], troubles=[DOWN], waiting=["webhook", "webhook"])
    return registry


def leave(folder: Path, name: str, gauge: str, **labels: str) -> None:
    """Write what a task would."""
    folder.mkdir(exist_ok=True)
    registry = CollectorRegistry()
    metric = Gauge(gauge, "About it.", list(labels), registry=registry)
    (metric.labels(**labels) if labels else metric).set(7)
    write_to_textfile(str(folder / name), registry)


@pytest.mark.parametrize(
    ("name", "labels", "value"),
    [
        ("medloop_part_up", {"part": "hdfs", "process": "namenode"}, 1),
        ("medloop_part_up", {"part": "hdfs", "process": "datanode-0"}, 0),
        ("medloop_part_up", {"part": "service", "process": "service"}, None),
        ("medloop_part_restarts_total", {"part": "hdfs", "process": "datanode-0"}, 5),
        ("medloop_supervisor_up", {}, 1),
        ("medloop_room_free_bytes", {"room": "home"}, 400),
        ("medloop_room_size_bytes", {"room": "home"}, 1000),
        ("medloop_dag_last_run_success", {"dag": "retrain_phantom"}, 0),
        ("medloop_dag_last_run_seconds", {"dag": "retrain_phantom"}, 61),
        ("medloop_alerts_open", {"kind": "part_down", "severity": "warning"}, 1),
        ("medloop_alerts_waiting", {"channel": "webhook"}, 2),
        ("medloop_watch_looks_total", {"outcome": "ok"}, 1),
    ],
)
def test_what_was_seen_is_told(
    tmp_path: Path, name: str, labels: dict[str, str], value: float | None
) -> None:
    assert told(tmp_path).get_sample_value(name, labels) == value


def test_what_tasks_have_left_in_files_is_told_together(tmp_path: Path) -> None:
    leave(tmp_path, "monitor-a.prom", "medloop_monitor_accuracy", dataset="a")
    leave(tmp_path, "monitor-b.prom", "medloop_monitor_accuracy", dataset="b")
    (tmp_path / "broken.prom").write_text("medloop_monitor_accuracy{ 1\n")
    registry = told(tmp_path)

    for dataset in "ab":
        assert registry.get_sample_value("medloop_monitor_accuracy", {"dataset": dataset}) == 7
    assert registry.get_sample_value("medloop_metric_files_unreadable") == 1
    assert generate_latest(registry).count(b"# TYPE medloop_monitor_accuracy") == 1


def queries() -> dict[str, str]:
    """Panel or rule → its query."""
    panels = {
        f"{panel['title']} {target['refId']}": target["expr"]
        for panel in DASHBOARD["panels"]
        for target in panel.get("targets", [])
    }
    return panels | {rule["alert"]: rule["expr"] for rule in RULES}


@pytest.mark.parametrize("name", queries())
def test_every_query_asks_for_metrics_and_labels_that_there_are(tmp_path: Path, name: str) -> None:
    settings = Settings(home=tmp_path)
    write_state(settings, BackupState(succeeded_at=RUN.ended, bytes=1, seconds=1))
    show(figures_file(settings), Figures(waiting=1, bytes=1, oldest_seconds=1, kept={}))
    samples = [sample for family in told(settings.metrics).collect() for sample in family.samples]
    query = queries()[name]
    asked = set(re.findall(r"medloop_\w+", query))

    assert asked
    for metric in asked:
        assert metric in {sample.name for sample in samples}
    labels = {label for sample in samples if sample.name in asked for label in sample.labels}
    matched = re.findall(r"(\w+)\s*=", " ".join(re.findall(r"\{([^}]*)\}", query)))
    grouped = re.findall(r"\w+", " ".join(re.findall(r"(?:by|on) \(([^)]*)\)", query)))
    assert {*matched, *grouped} <= labels


def test_every_metric_stands_on_the_dashboard(tmp_path: Path) -> None:
    asked = " ".join(query for name, query in queries().items())
    names = {sample.name for family in told(tmp_path).collect() for sample in family.samples}

    assert {name for name in names if name not in asked} == set()


def test_prometheus_is_told_where_the_watch_listens() -> None:
    jobs: list[dict[str, Any]] = yaml.safe_load((GRAFANA / "prometheus.yml").read_text("utf-8"))[
        "scrape_configs"
    ]
    (job,) = [job for job in jobs if job["job_name"] == "medloop-watch"]

    assert job["static_configs"] == [{"targets": ["127.0.0.1:9300"]}]

"""What ``/metrics`` tells, and that the example dashboard and alerts ask for what there is."""

import json
import re
from pathlib import Path
from typing import Any, get_args

import pytest
import yaml
from prometheus_client import REGISTRY, Counter, Gauge, Histogram
from starlette.testclient import TestClient

from pipelines.errors import BundleError
from pipelines.evaluation.abstention import Code
from pipelines.release.predictor import Predictor, open_predictor
from pipelines.settings import PROJECT
from serving import metrics as counters
from serving.champions import Champions
from tests.serving.bundles import make_bundle, png
from tests.serving.permitted import ROLES

GRAFANA = PROJECT / "docs" / "grafana"
DASHBOARD = json.loads((GRAFANA / "medloop-service.json").read_text("utf-8"))
ALERTS = yaml.safe_load((GRAFANA / "medloop-alerts.yml").read_text("utf-8"))["groups"][0]["rules"]
METRIC = re.compile(r"medloop_\w+")
LABELS = re.compile(r"\{([^}]*)\}|(?:by|on) \(([^)]*)\)")
OURS = {
    metric._name: set(metric._labelnames)
    for metric in vars(counters).values()
    if isinstance(metric, Counter | Gauge | Histogram)
}


def queries() -> dict[str, str]:
    """Panel or alert → its query."""
    panels = {
        f"{panel['title']} {target['refId']}": target["expr"]
        for panel in DASHBOARD["panels"]
        for target in panel.get("targets", [])
    }
    variables = {v["name"]: v["definition"] for v in DASHBOARD["templating"]["list"][1:]}
    return panels | variables | {rule["alert"]: rule["expr"] for rule in ALERTS}


def value(name: str, **labels: str) -> float:
    return REGISTRY.get_sample_value(name, labels) or 0


@pytest.mark.parametrize("name", queries())
def test_every_query_asks_for_metrics_and_labels_that_the_service_has(
    name: str, serving_client: TestClient
) -> None:
    serving_client.post("/predict", files={"image": png()})
    exposed = serving_client.get("/metrics").text
    query = queries()[name]
    asked = set(METRIC.findall(query))
    assert asked
    labels = {"le"}
    for metric in asked:
        base = re.sub(r"_(total|bucket|sum|count)$", "", metric)
        assert base in OURS, metric
        assert re.search(rf"^# TYPE ({metric}|{base}) ", exposed, re.M), metric
        assert metric != base or not re.search(rf"^# TYPE {base} histogram", exposed, re.M)
        labels |= OURS[base]
    for matched, grouped in LABELS.findall(query):
        named = re.findall(r"(\w+)\s*=", matched) + re.findall(r"\w+", grouped)
        assert set(named) <= labels


def test_every_metric_stands_on_the_dashboard() -> None:
    asked = " ".join(target["expr"] for p in DASHBOARD["panels"] for target in p.get("targets", []))
    assert {name for name in OURS if name not in asked} == set()


def test_the_alerts_name_reasons_and_outcomes_that_there_are() -> None:
    text = " ".join(rule["expr"] for rule in ALERTS)
    assert set(re.findall(r'reason="(\w+)"', text)) <= set(get_args(Code))
    assert set(re.findall(r'outcome="(\w+)"', text)) <= {
        *counters.OUTCOMES.values(),
        *("refused", "lost"),
    }


def test_the_scrape_example_asks_where_the_service_answers() -> None:
    config = yaml.safe_load((GRAFANA / "prometheus.yml").read_text("utf-8"))
    job = next(job for job in config["scrape_configs"] if job["job_name"] == "medloop")
    assert job["metrics_path"] == "/metrics"
    assert job["authorization"]["type"] == "Bearer"
    assert "credentials_file" in job["authorization"]
    text = (GRAFANA / "prometheus.yml").read_text("utf-8")
    (role,) = re.findall(r"medloop token new \S+ --role (\w+)", text)
    assert role == ROLES[job["metrics_path"]], "the least role that may ask is enough"
    for file in config["rule_files"]:
        assert (GRAFANA / file).is_file()


@pytest.mark.parametrize(
    ("request_", "route", "outcome"),
    [
        (("POST", "/predict", {"files": {"image": png()}}), "/predict", "ok"),
        (("POST", "/predict", {"files": {"image": b"no"}}), "/predict", "refused"),
        (("GET", "/api/classes", {}), "/api/classes", "ok"),
        (("GET", "/.env", {}), "other", "refused"),
    ],
)
def test_a_request_is_counted_and_timed_by_route_and_outcome(
    serving_client: TestClient, request_: tuple[str, str, dict[str, Any]], route: str, outcome: str
) -> None:
    counted = ("medloop_requests_total", {"route": route, "outcome": outcome})
    timed = ("medloop_request_seconds_count", {"route": route})
    before = value(counted[0], **counted[1]), value(timed[0], **timed[1])
    method, path, options = request_
    serving_client.request(method, path, **options)
    assert value(counted[0], **counted[1]) == before[0] + 1
    assert value(timed[0], **timed[1]) == before[1] + 1


def test_a_service_without_a_champion_counts_as_unavailable(client: TestClient) -> None:
    labels = {"route": "/predict", "outcome": "unavailable"}
    before = value("medloop_requests_total", **labels)
    client.post("/predict", files={"image": png()})
    assert value("medloop_requests_total", **labels) == before + 1


def test_a_batch_is_counted_by_its_size_and_each_refused_image_by_its_reason(
    serving_client: TestClient,
) -> None:
    names = "medloop_batch_images_sum", "medloop_batch_images_count"
    before = [value(name) for name in names]
    refused = value("medloop_refused_total", code="unknown_format")
    files = [("image", png(1)), ("image", b"no"), ("image", png(2))]
    serving_client.post("/predict/batch", files=files)
    assert [value(name) for name in names] == [before[0] + 3, before[1] + 1]
    assert value("medloop_refused_total", code="unknown_format") == refused + 1


def test_abstentions_are_counted_by_reason_and_reviews_by_data_set(
    serving_client: TestClient,
) -> None:
    before = counters_of_trust()
    answers = [
        serving_client.post("/predict", files={"image": png(seed)}).json() for seed in range(8)
    ]
    reasons = sum(len(answer["abstained_because"]) for answer in answers)
    reviews = sum(answer["review"]["needed"] for answer in answers)
    assert reviews
    assert counters_of_trust() == (before[0] + reasons, before[1] + reviews)


def counters_of_trust() -> tuple[float, float]:
    reasons = [
        value("medloop_abstained_total", dataset="phantom", reason=c) for c in get_args(Code)
    ]
    return sum(reasons), value("medloop_reviews_total", dataset="phantom")


def test_the_champion_shown_is_the_one_that_answers(
    predictor: Predictor, tmp_path: Path, cache: Path
) -> None:
    newer = make_bundle(tmp_path / "newer", version=2, run_id="newer")
    champions = Champions()
    champions.take(predictor)
    assert shown("1", "run") == 1
    champions.take(open_predictor(newer, "openvino", cache=cache, threads=1))
    assert shown("1", "run") == 0
    assert shown("2", "newer") == 1
    before = value("medloop_swaps_total", dataset="phantom", model_version="3", outcome="refused")
    champions.refuse("phantom", 3, reason=str(BundleError("broken")))
    assert shown("2", "newer") == 1
    after = value("medloop_swaps_total", dataset="phantom", model_version="3", outcome="refused")
    assert after == before + 1


def shown(version: str, run_id: str) -> float:
    labels = {"dataset": "phantom", "model_version": version, "run_id": run_id}
    return value("medloop_champion_workers", **labels)

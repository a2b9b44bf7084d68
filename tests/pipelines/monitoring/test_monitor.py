"""The monitor judges each answer once, acts when trouble comes again, and tells what it saw."""

import re
import time
from datetime import timedelta
from pathlib import Path

import pytest
import yaml
from prometheus_client.parser import text_string_to_metric_families

from pipelines.alerts.log import latest
from pipelines.errors import NotFound, StoreUnavailable, TrackingUnavailable
from pipelines.monitoring import monitor
from pipelines.monitoring.exposition import METRICS, PREFIX
from pipelines.monitoring.labels import note_labels
from pipelines.monitoring.samples import Sample
from pipelines.monitoring.served import files_of, merged_files
from pipelines.retention import prune
from pipelines.settings import PROJECT, Settings
from pipelines.stage import Context
from pipelines.storage.hdfs import HdfsStore
from pipelines.tracking import runs
from pipelines.tracking.client import open_tracking
from stack.ports import find_free
from tests.pipelines.monitoring.read_back import read_samples
from tests.pipelines.monitoring.watched import DAY, WINDOW, Watched, watched
from tests.pipelines.tracked import spec_of, tracked_context

CLEAN = range(1000, 1000 + WINDOW)
DARK = 0.3


@pytest.fixture
def here(mlflow_server: Settings, tmp_path: Path, request: pytest.FixtureRequest) -> Watched:
    name = re.sub(r"\W+", "_", request.node.name)[-50:].strip("_").lower()
    return watched(mlflow_server, tmp_path, f"w_{name}")


def told(here: Watched) -> list[tuple[str, str, str]]:
    """What people were told: that a trouble begins or is over, its kind, and what of."""
    notices = latest(here.context.settings, 100)
    return [(notice.state, notice.alert.kind, notice.alert.subject) for notice in notices]


def said(here: Watched) -> str:
    """The latest that they were told."""
    return latest(here.context.settings, 1)[0].alert.text


def window(number: int) -> range:
    """Pictures of a window of their own."""
    return range(1000 + number * WINDOW, 1000 + (number + 1) * WINDOW)


def test_clean_traffic_is_judged_once_and_nobody_is_told(here: Watched) -> None:
    here.serve([*window(0), *window(1), *range(5000, 5010)])
    seen = here.monitor()
    assert (seen.windows, seen.waiting, seen.drifting, seen.confirmed) == (2, 10, False, False)
    assert seen.estimated_accuracy == pytest.approx(1, abs=0.2)
    before = here.state()
    again = here.monitor()
    assert (again.windows, again.waiting) == (0, 10)
    assert here.state() == before
    assert told(here) == []
    here.serve(range(5010, 5050), minutes=30)
    assert here.monitor().windows == 1
    assert [w.number for w in here.state().windows] == [1, 2, 3]


def test_the_champion_is_watched_as_before_after_a_prune(here: Watched) -> None:
    here.serve(window(0))
    profile = here.monitor() and here.state().profile
    _, fates = prune.run(here.context, now=time.time() + 10 * 365 * 86_400)
    gone = {fate.item.path for fate in fates if fate.goes}
    pins = {fate.item.path: fate.item.pin for fate in fates if fate.item.pin}
    here.serve(window(1), minutes=60)

    assert {path for path in gone if "/served/" in path}
    assert pins[f"store:{here.name}/profiles/{profile}"] == "version 1: champion"
    assert pins[f"store:{here.name}/monitoring/windows/000001.parquet"].startswith("the monitor")
    assert here.monitor().windows == 1
    assert (here.state().profile, here.state().number) == (profile, 2)


def test_drift_is_told_once_it_is_seen_again_and_wakes_once_an_episode(here: Watched) -> None:
    begun, ended = ("begun", "drift", "answers"), ("over", "drift", "answers")
    here.serve(window(0))
    here.serve(window(1), shade=DARK, minutes=10)
    first = here.monitor()
    assert "brightness" in first.drifted
    assert (first.drifting, first.confirmed, told(here)) == (False, False, [])

    here.serve(window(2), shade=DARK, minutes=20)
    second = here.monitor()
    assert (second.drifting, second.confirmed) == (True, True)
    assert told(here) == [begun]
    assert "Since window 3" in said(here)
    assert "brightness: " in said(here)
    assert "gives the same model" in said(here)

    assert here.monitor().confirmed  # nobody was woken yet: a run that was killed loses nothing
    monitor.woken(here.context, here.name)
    assert not here.monitor().confirmed
    here.serve(window(3), shade=DARK, minutes=30)
    assert (here.monitor().drifting, here.monitor().confirmed) == (True, False)

    for number in range(4, 8):
        here.serve(window(number), minutes=10 * number)
    over = here.monitor()
    assert (over.drifting, told(here)) == (False, [begun, ended])
    for number in (8, 9):
        here.serve(window(number), shade=DARK, minutes=10 * number)
    assert here.monitor().confirmed


def test_another_champion_is_watched_by_itself(here: Watched) -> None:
    for number in range(2):
        here.serve(window(number), shade=DARK, minutes=number)
    assert here.monitor().drifting
    here.serve(range(30), minutes=3)  # the old champion's last answers
    here.promote(seed=1)
    here.serve(window(4), minutes=4)
    seen = here.monitor()
    assert (seen.version, seen.windows, seen.drifting, seen.waiting) == (2, 1, False, 0)
    assert told(here)[-1] == ("over", "drift", "answers")
    assert [w.number for w in here.state().windows] == [3]


def test_a_run_that_is_killed_is_gone_on_with(
    here: Watched, monkeypatch: pytest.MonkeyPatch
) -> None:
    here.serve([*window(0), *window(1)])

    def killed(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    for cut_off_in in ("keep_answers", "keep", "report.publish", "alarms.tell"):
        with monkeypatch.context() as patch:
            patch.setattr(f"pipelines.monitoring.monitor.{cut_off_in}", killed)
            with pytest.raises(KeyboardInterrupt):
                here.monitor()
    report = Path(here.monitor().report)
    assert "Window 2: 50 answers" in report.read_text()
    judged = here.state().windows
    assert [(w.number, w.answers) for w in judged] == [(1, WINDOW), (2, WINDOW)]


def test_days_that_are_over_are_merged_once_judged(here: Watched) -> None:
    for part in (CLEAN[:20], CLEAN[20:40], CLEAN[40:], range(5000, 5005)):
        here.serve(part)
    here.monitor()
    assert len(files_of(here.context.store, here.name, DAY)) == 4
    here.monitor(today=DAY + timedelta(days=1))
    assert len(merged_files(here.context.store, here.name, DAY)) == 1
    assert len(files_of(here.context.store, here.name, DAY)) == 1
    assert read_samples(here.context.store, here.name, DAY).num_rows == WINDOW + 5
    assert here.monitor(today=DAY + timedelta(days=1)).waiting == 5


def test_new_images_are_held_against_the_reference_and_give_labels(here: Watched) -> None:
    here.serve(window(0))
    here.land(window(0)[:40], snapshot="0002-ab")
    here.land(range(3000, 3060), snapshot="0003-ac", shade=DARK)
    here.land(range(4000, 4010), snapshot="0004-ad")
    assert here.monitor().snapshots == 3
    clean, dark, few = here.state().snapshots
    assert (clean.asked, clean.troubled) == (40, False)
    assert clean.measured is not None
    assert clean.measured.accuracy == 1
    assert (dark.asked, dark.troubled) == (60, True)
    assert (few.added, few.asked) == (10, 0)
    assert here.monitor().snapshots == 0
    assert told(here) == [("begun", "drift", "snapshot 0003-ac")]
    measured = here.state().measured  # by the labels with which they landed, after the answers
    assert measured is not None
    assert (measured.images, measured.accuracy) == (40, 1)


def labels_for(samples: list[Sample], *, wrong: int) -> str:
    """Labels by request, the first few of them other than the answer."""
    others = {"clear": "spot", "spot": "haze", "haze": "clear"}
    lines = [
        f"{s.request_id},{others[s.predicted] if i < wrong else s.predicted}"
        for i, s in enumerate(samples)
    ]
    return "\n".join(["request_id,label", *lines])


def test_labels_that_come_later_give_the_real_figures_and_an_alarm(
    here: Watched, tmp_path: Path
) -> None:
    samples = here.serve(window(0))
    assert here.monitor().measured_accuracy is None
    file = tmp_path / "labels.csv"
    file.write_text(labels_for(samples, wrong=5))
    note_labels(here.context.store, here.spec, file)
    assert here.monitor().measured_accuracy == pytest.approx(0.9)
    assert told(here) == []

    file.write_text(labels_for(samples, wrong=40))  # whoever gave them had another look
    note_labels(here.context.store, here.spec, file)
    assert here.monitor().measured_accuracy == pytest.approx(0.2)
    assert told(here) == [("begun", "performance_low", "measured")]
    assert "accuracy is 0.200" in said(here)


def test_the_report_needs_nothing_from_elsewhere_and_stands_in_mlflow(here: Watched) -> None:
    here.serve(window(0))
    here.serve([*window(1), *window(2)], shade=DARK, minutes=10)
    page = Path(here.monitor().report).read_text("utf-8")
    assert "Drift is confirmed" in page
    assert page.count("<img ") == 3
    assert not re.findall(r'(?:src|href)="(?!data:)', page)
    assert "synthetic" not in page.lower()

    tracking = open_tracking(here.context.settings)
    (run,) = monitoring_runs(here)
    assert tracking.artifacts(run) == ["report.html", "reports"]
    with tracking.reaching() as client:
        history = client.get_metric_history(run, "p_value.brightness")
    assert [entry.step for entry in history] == [1, 2, 3]
    assert history[2].value < 0.01
    here.serve(window(3), minutes=30)
    here.monitor()
    assert monitoring_runs(here) == [run]
    assert runs.steps_logged(tracking, run, "troubled") == {1, 2, 3, 4}


def monitoring_runs(here: Watched) -> list[str]:
    with open_tracking(here.context.settings).reaching() as client:
        experiment = client.get_experiment_by_name(f"{here.name}-monitoring")
        return [run.info.run_id for run in client.search_runs([experiment.experiment_id])]


def test_the_alert_rules_ask_for_what_the_monitor_leaves(here: Watched, tmp_path: Path) -> None:
    samples = here.serve(window(0))
    file = tmp_path / "labels.csv"
    file.write_text(labels_for(samples, wrong=1))
    note_labels(here.context.store, here.spec, file)
    here.monitor()
    text = (here.context.settings.home / "metrics" / f"monitor-{here.name}.prom").read_text()
    left = {family.name: family.samples for family in text_string_to_metric_families(text)}
    assert left.keys() == {PREFIX + name for name in METRICS}
    assert all(samples for samples in left.values())
    (rules,) = (
        group["rules"]
        for group in yaml.safe_load((PROJECT / "docs/grafana/medloop-alerts.yml").read_text())[
            "groups"
        ]
        if group["name"] == "medloop-monitor"
    )
    for rule in rules:
        (asked,) = re.findall(r"medloop_\w+", rule["expr"])
        labels = re.findall(r"\$labels\.(\w+)", rule["annotations"]["summary"])
        assert set(labels) <= left[asked][0].labels.keys()


def test_without_a_champion_there_is_nothing_to_watch(
    mlflow_server: Settings, tmp_path: Path
) -> None:
    with pytest.raises(NotFound, match="has no champion yet"):
        monitor.run(spec_of("unwatched"), tracked_context(mlflow_server, tmp_path))


def test_parts_that_are_away_are_told_as_such(installation: Settings, context: Context) -> None:
    url = f"http://127.0.0.1:{find_free('127.0.0.1')}"
    settings = installation.model_copy(update={"mlflow_uri": url})
    with pytest.raises(TrackingUnavailable):
        monitor.run(spec_of("away"), Context(settings=settings, store=context.store))
    away = HdfsStore("hdfs://127.0.0.1:1/x", webhdfs=url, user="x")
    with pytest.raises(StoreUnavailable):
        monitor.run(spec_of("away"), Context(settings=settings, store=away))

"""A run is found by what went in, begun once and taken up where it was cut off."""

import contextlib
import time

import pytest

from pipelines.errors import TrackingUnavailable
from pipelines.outputs import Prepared
from pipelines.tracking import runs
from pipelines.tracking.client import Tracking
from pipelines.tracking.inputs import log_inputs
from pipelines.tracking.runs import MetricBook, find, flatten, log_params, open_run, steps_logged
from stack.ports import find_free


def test_a_run_that_was_cut_off_is_taken_up_not_begun_again(
    tracking: Tracking, experiment: str
) -> None:
    begun = [_work(tracking, experiment, interrupt=True)]
    assert tracking.client.get_run(begun[0]).info.status == "FAILED"

    begun.append(_work(tracking, experiment, interrupt=False))

    assert begun[0] == begun[1]
    run = find(tracking, experiment, fingerprint="f1")
    assert run is not None
    assert run.info.status == "FINISHED"
    assert run.info.run_name == "one · snap 1"
    assert run.data.tags["medloop.candidate"] == "one"
    assert run.data.params == {"epochs": "3"}


def _work(tracking: Tracking, experiment: str, *, interrupt: bool) -> str:
    """Open the run ``f1`` and log a param, then finish or be interrupted."""
    opened = []
    tags = {"medloop.candidate": "one"}
    run = open_run(tracking, experiment, fingerprint="f1", name="one · snap 1", tags=tags)
    with contextlib.suppress(KeyboardInterrupt), run as run_id:
        opened.append(run_id)
        assert tracking.client.get_run(run_id).info.status == "RUNNING"
        log_params(tracking, run_id, {"epochs": 3})
        if interrupt:
            raise KeyboardInterrupt
    return opened[0]


def test_another_fingerprint_is_another_run(tracking: Tracking, experiment: str) -> None:
    with open_run(tracking, experiment, fingerprint="a", name="a", tags={}) as first:
        pass
    with open_run(tracking, experiment, fingerprint="b", name="b", tags={}) as second:
        pass

    assert first != second
    assert find(tracking, experiment, fingerprint="c") is None


def test_metrics_of_many_epochs_travel_together(tracking: Tracking, experiment: str) -> None:
    run = tracking.client.create_run(experiment).info.run_id
    book = MetricBook(tracking, run)
    began = time.monotonic()

    for epoch in range(1, 401):
        book.add({"loss": 1 / epoch, "accuracy": 0.5, "rate": 1e-3}, step=epoch)
    book.flush()

    assert time.monotonic() - began < 10
    assert steps_logged(tracking, run, "loss") == set(range(1, 401))
    assert tracking.client.get_run(run).data.metrics["loss"] == pytest.approx(1 / 400)


def test_figures_wait_for_a_server_that_is_away_and_only_the_end_insists(
    tracking: Tracking, experiment: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = tracking.client.create_run(experiment).info.run_id
    monkeypatch.setattr(runs, "BATCH_SECONDS", 0.0)
    book = MetricBook(Tracking(f"http://127.0.0.1:{find_free('127.0.0.1')}"), run)

    for epoch in range(1, 4):
        book.add({"loss": 1.0}, step=epoch)
    with pytest.raises(TrackingUnavailable):
        book.flush()
    book.tracking = tracking
    book.flush()

    assert steps_logged(tracking, run, "loss") == {1, 2, 3}


def test_steps_that_were_made_but_not_sent_are_sent_once(
    tracking: Tracking, experiment: str
) -> None:
    run = tracking.client.create_run(experiment).info.run_id
    book = MetricBook(tracking, run)
    history = [{"loss": 1 / epoch} for epoch in range(1, 6)]
    for epoch in (1, 2, 5):
        book.add(history[epoch - 1], step=epoch)
    book.flush()

    book.catch_up(history)

    logged = tracking.client.get_metric_history(run, "loss")
    assert sorted(entry.step for entry in logged) == [1, 2, 3, 4, 5]


def test_nested_params_are_named_with_dots() -> None:
    assert flatten({"a": {"b": 1, "c": {"d": None}}, "e": "x"}) == {
        "a.b": 1,
        "a.c.d": None,
        "e": "x",
    }


def test_inputs_name_snapshot_split_and_training_set_once(
    tracking: Tracking, experiment: str
) -> None:
    run = tracking.client.create_run(experiment).info.run_id
    prepared = Prepared(
        dataset="brain",
        id="0123456789abcdef",
        snapshot="brain/snapshots/0001-aa",
        split="brain/splits/bb",
        path="brain/training_sets/cc",
        images="brain/prepared/dd",
        rows={"train": 30, "validation": 5, "test": 6},
    )

    for _ in range(2):
        log_inputs(tracking, run, prepared, store="hdfs://name:8020/medloop")

    inputs = tracking.client.get_run(run).inputs.dataset_inputs
    assert sorted(entry.dataset.name for entry in inputs) == [
        "brain test",
        "brain train",
        "brain validation",
    ]
    train = next(entry for entry in inputs if entry.dataset.name == "brain train")
    assert train.dataset.digest == prepared.id
    assert "hdfs://name:8020/medloop/brain/training_sets/cc/keys.parquet" in train.dataset.source
    assert {tag.key: tag.value for tag in train.tags} == {
        "mlflow.data.context": "training",
        "snapshot": "0001-aa",
        "split": "bb",
    }


def test_tags_of_a_run_can_be_set_again(tracking: Tracking, experiment: str) -> None:
    run = tracking.client.create_run(experiment).info.run_id

    runs.set_tags(tracking, run, {"a": 1})
    runs.set_tags(tracking, run, {"a": 2})

    assert tracking.client.get_run(run).data.tags["a"] == "2"

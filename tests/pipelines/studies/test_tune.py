"""A search tries what its seed says, keeps every trial, and goes on where it was killed."""

import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from pipelines.errors import SpecError, TrainingDiverged, TrainingError
from pipelines.outputs import Prepared
from pipelines.settings import PROJECT, Settings
from pipelines.spec import DatasetSpec
from pipelines.stage import Context
from pipelines.studies import tune
from pipelines.studies.study import PARENT
from pipelines.tracking.client import open_tracking
from pipelines.training import candidate
from tests.pipelines.studies.tiny import tiny_spec
from tests.pipelines.tracked import prepare_small, tracked_context

if TYPE_CHECKING:
    from mlflow.entities import Run

RATES = {"learning_rate": {"low": 1e-5, "high": 1e-2, "scale": "log"}}


def searched(name: str, **fields: Any) -> DatasetSpec:
    """A spec with one candidate whose learning rate is searched."""
    return tiny_spec(name, epochs=4, tune={"space": RATES, "max_epochs": 2} | fields)


def by_hyperband(name: str) -> DatasetSpec:
    """The same, with more trials, of which some are stopped early."""
    return searched(name, search="hyperband", trials=6, executions=1, max_epochs=4, factor=2)


@pytest.fixture(scope="module")
def here(mlflow_server: Settings, tmp_path_factory: pytest.TempPathFactory) -> Context:
    return tracked_context(mlflow_server, tmp_path_factory.mktemp("tuning"))


@pytest.fixture(scope="module")
def spec() -> DatasetSpec:
    return searched("searched", trials=2, executions=2)


@pytest.fixture(scope="module")
def prepared(here: Context, spec: DatasetSpec) -> Prepared:
    return prepare_small(here, spec)


@pytest.fixture(scope="module")
def tuned(here: Context, spec: DatasetSpec, prepared: Prepared) -> tune.Tuned:
    return tune.run(spec, here, prepared, "tiny")


def test_each_trial_is_a_run_below_the_searchs(
    here: Context, spec: DatasetSpec, tuned: tune.Tuned
) -> None:
    children = _runs(here, spec, f"tags.`{PARENT}` = '{tuned.run_id}'")

    assert [trial.run_id for trial in tuned.trials] == [run.info.run_id for run in children]
    assert {run.info.status for run in children} == {"FINISHED"}
    for trial, run in zip(tuned.trials, children, strict=True):
        assert float(run.data.params["learning_rate"]) == trial.settings["learning_rate"]
        assert run.data.metrics["tune.loss"] == pytest.approx(trial.loss)
        assert [len(execution.losses) for execution in trial.executions] == [2, 2]
    assert open_tracking(here.settings).has_artifact(tuned.run_id, "figures/search.png")


def test_the_trial_with_the_least_validation_loss_is_followed(tuned: tune.Tuned) -> None:
    losses = [trial.loss for trial in tuned.trials]

    assert losses[tuned.best] == min(loss for loss in losses if loss is not None)
    assert len({trial.settings["learning_rate"] for trial in tuned.trials}) == 2


def test_executions_of_a_trial_differ_in_their_seed(tuned: tune.Tuned) -> None:
    first, second = tuned.trials[0].executions

    assert first.losses != second.losses


def test_the_candidate_is_trained_with_the_settings_that_were_found(
    here: Context, spec: DatasetSpec, prepared: Prepared, tuned: tune.Tuned
) -> None:
    before = len(_runs(here, spec))

    trained = candidate.run(spec, here, prepared, "tiny")

    run = open_tracking(here.settings).client.get_run(trained.run_id)
    assert float(run.data.params["learning_rate"]) == tuned.settings["learning_rate"]
    assert run.data.tags["medloop.search"] == tuned.run_id
    assert len(_runs(here, spec)) == before + 1


def test_a_search_that_is_done_is_not_done_again(
    here: Context, spec: DatasetSpec, prepared: Prepared, tuned: tune.Tuned
) -> None:
    began = time.monotonic()

    assert tune.run(spec, here, prepared, "tiny") == tuned

    assert time.monotonic() - began < 5


@pytest.fixture(scope="module")
def halved(here: Context, prepared: Prepared) -> tune.Tuned:
    return tune.run(by_hyperband("halved"), here, prepared, "tiny")


def test_hyperband_stops_the_weaker_trials_early(halved: tune.Tuned) -> None:
    epochs = {trial.number: len(trial.executions[0].losses) for trial in halved.trials}
    stopped = [trial.number for trial in halved.trials if trial.state == "pruned"]

    assert stopped
    assert all(epochs[number] < 4 for number in stopped)
    assert halved.trials[halved.best].state == "complete"
    assert epochs[halved.best] == 4


def test_a_killed_search_ends_as_an_unbroken_one(
    mlflow_server: Settings, halved: tune.Tuned, tmp_path: Path
) -> None:
    spec, context = by_hyperband("broken"), tracked_context(mlflow_server, tmp_path)
    prepared = prepare_small(context, spec)
    for name, part in {"spec": spec, "settings": context.settings, "prepared": prepared}.items():
        (tmp_path / f"{name}.json").write_text(part.model_dump_json())
    with subprocess.Popen([sys.executable, "-c", TUNE, str(tmp_path)], cwd=PROJECT) as process:
        try:
            _wait_for_trials(context, spec, 1)
        finally:
            process.kill()
    done_before = _done(context, spec)

    resumed = tune.run(spec, context, prepared, "tiny")

    assert len(done_before) < len(resumed.trials)
    assert done_before <= {trial.run_id for trial in resumed.trials}
    assert [t.settings for t in resumed.trials] == [t.settings for t in halved.trials]
    assert [t.state for t in resumed.trials] == [t.state for t in halved.trials]
    assert resumed.best == halved.best
    for one, other in zip(resumed.trials, halved.trials, strict=True):
        assert one.loss == pytest.approx(other.loss, rel=1e-3)


TUNE = """
import sys
from pathlib import Path
from pipelines.outputs import Prepared
from pipelines.settings import Settings
from pipelines.spec import DatasetSpec
from pipelines.stage import Context
from pipelines.storage import open_store
from pipelines.studies import tune

folder = Path(sys.argv[1])
settings = Settings.model_validate_json((folder / "settings.json").read_text())
tune.run(
    DatasetSpec.model_validate_json((folder / "spec.json").read_text()),
    Context(settings=settings, store=open_store(settings)),
    Prepared.model_validate_json((folder / "prepared.json").read_text()),
    "tiny",
)
"""


def test_trials_that_all_diverge_are_an_error(
    here: Context, prepared: Prepared, monkeypatch: pytest.MonkeyPatch
) -> None:
    def diverges(*_: Any, **__: Any) -> None:
        raise TrainingDiverged("loss of epoch 1 is nan")

    monkeypatch.setattr("pipelines.training.train.train", diverges)
    spec = searched("wild", trials=2, executions=1)

    with pytest.raises(TrainingError, match=r"None of the 2 trials.*'diverged': 2.*Lower"):
        tune.run(spec, here, prepared, "tiny")

    trials = _runs(here, spec, "tags.`medloop.trial` = 'diverged'")
    assert [run.info.status for run in trials] == ["FINISHED", "FINISHED"]


def test_a_candidate_that_is_not_to_be_tuned_is_refused(here: Context, prepared: Prepared) -> None:
    spec = tiny_spec("untuned")

    with pytest.raises(SpecError, match="not to be tuned; give it a block"):
        tune.run(spec, here, prepared, "tiny")


def _runs(context: Context, spec: DatasetSpec, condition: str = "") -> "list[Run]":
    """Runs of a data set's experiment, oldest first."""
    tracking = open_tracking(context.settings)
    experiment = tracking.experiment(spec.name, title=spec.title)
    order = ["attributes.start_time ASC"]
    return list(tracking.client.search_runs([experiment], condition, order_by=order))


def _done(context: Context, spec: DatasetSpec) -> set[str]:
    """Runs with an outcome."""
    return {run.info.run_id for run in _runs(context, spec, "tags.`medloop.outcome` = 'true'")}


def _wait_for_trials(context: Context, spec: DatasetSpec, number: int) -> None:
    deadline = time.monotonic() + 400
    while time.monotonic() < deadline:
        if len(_done(context, spec)) >= number:
            return
        time.sleep(0.3)
    raise AssertionError("no trial came to an end")

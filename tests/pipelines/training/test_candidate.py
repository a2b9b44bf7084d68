"""The training stage: one run in MLflow for one candidate, however often it is killed."""

import time
from pathlib import Path

import pytest

from pipelines.errors import CandidateSkipped, SpecError, TrackingUnavailable
from pipelines.models import imagenet
from pipelines.outputs import Prepared, Trained
from pipelines.settings import Settings
from pipelines.spec import DatasetSpec
from pipelines.stage import Context
from pipelines.tracking import runs
from pipelines.tracking.client import open_tracking
from pipelines.training import candidate
from stack.ports import find_free
from tests.pipelines.forks import Forks
from tests.pipelines.tracked import prepare_small, spec_of, tracked_context

EPOCHS = 3
QUICK = {"name": "quick", "model": "strided_cnn", "recipe": "scratch", "weights": None}


def small(name: str, *, epochs: int = EPOCHS) -> DatasetSpec:
    """A spec with one candidate that never stops early."""
    quick = QUICK | {"epochs": epochs, "patience": 1000, "batch_size": 8}
    return spec_of(name, candidates=[quick])


@pytest.fixture(scope="module")
def here(mlflow_server: Settings, tmp_path_factory: pytest.TempPathFactory) -> Context:
    return tracked_context(mlflow_server, tmp_path_factory.mktemp("training"))


@pytest.fixture(scope="module")
def spec() -> DatasetSpec:
    return small("trained")


@pytest.fixture(scope="module")
def prepared(here: Context, spec: DatasetSpec) -> Prepared:
    return prepare_small(here, spec)


@pytest.fixture(scope="module")
def trained(here: Context, spec: DatasetSpec, prepared: Prepared) -> Trained:
    return candidate.run(spec, here, prepared, "quick")


def test_a_run_tells_all_that_went_in_and_came_out(
    here: Context, prepared: Prepared, trained: Trained, tmp_path: Path
) -> None:
    tracking = open_tracking(here.settings)
    run = tracking.client.get_run(trained.run_id)

    assert trained.epochs == EPOCHS
    assert run.info.status == "FINISHED"
    assert run.info.run_name == "quick · snap 0002-one"
    expected = {"model": "strided_cnn", "epochs": "3", "image.size": "32", "images.train": "24"}
    assert expected.items() <= run.data.params.items()
    assert {entry.dataset.digest for entry in run.inputs.dataset_inputs} == {prepared.id}
    losses = tracking.client.get_metric_history(trained.run_id, "epoch.val_loss")
    assert [entry.step for entry in losses] == [1, 2, 3]
    assert run.data.metrics["training.parameters"] > 10_000
    assert tracking.has_artifact(trained.run_id, "figures/learning_curves.png")
    environment = tracking.read_json(trained.run_id, "environment.json")
    assert {"git_commit", "lock_sha256", "tensorflow", "keras"} <= set(environment)
    description = tracking.download(trained.run_id, "model/MLmodel", target=tmp_path).read_text()
    assert "probabilities" in description
    assert "input_example" in description


def test_a_finished_candidate_is_not_trained_again(
    here: Context, spec: DatasetSpec, prepared: Prepared, trained: Trained
) -> None:
    began = time.monotonic()

    assert candidate.run(spec, here, prepared, "quick") == trained

    assert time.monotonic() - began < 10
    assert _runs(here, spec) == [trained.run_id]
    assert not list((here.settings.work / "training").glob("*/*"))


def test_what_goes_in_makes_it_another_run(
    here: Context, spec: DatasetSpec, prepared: Prepared, trained: Trained
) -> None:
    shorter = small(spec.name, epochs=1)

    other = candidate.run(shorter, here, prepared, "quick")

    assert other.run_id != trained.run_id
    assert other.epochs == 1


def test_an_ensemble_is_made_of_the_members_that_stand_and_of_those_it_has_trained(
    here: Context, spec: DatasetSpec, prepared: Prepared, trained: Trained
) -> None:
    quick = spec.candidates[0].model_dump(exclude_defaults=True)
    second = quick | {"name": "second", "epochs": 1}
    joined = {"name": "both", "recipe": "ensemble", "model": "ensemble", "weights": None}
    members = {"members": ["quick", "second"]}
    joint = spec_of(spec.name, candidates=[quick, second, joined | members])

    whole = candidate.run(joint, here, prepared, "both")

    tracking = open_tracking(here.settings)
    runs = _runs(here, spec)
    assert trained.run_id in runs
    assert candidate.run(joint, here, prepared, "second").run_id in runs
    assert _runs(here, spec) == runs
    assert (whole.epochs, whole.seconds) == (0, 0)
    one, all_of_it = (
        tracking.client.get_run(run_id).data.metrics["training.parameters"]
        for run_id in (trained.run_id, whole.run_id)
    )
    assert all_of_it == 2 * one


def test_a_candidate_without_its_weights_leaves_a_run_that_says_why(
    here: Context,
    spec: DatasetSpec,
    prepared: Prepared,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    monkeypatch.setenv("KERAS_HOME", str(tmp_path))
    monkeypatch.setattr(imagenet, "SITE", "https://127.0.0.1:9")
    large = {"name": "large", "model": "resnet50", "recipe": "frozen"}
    closed = spec_of(spec.name, candidates=[QUICK, large])

    for _ in range(2):  # a run that is retried says it once
        with pytest.raises(CandidateSkipped, match="large is left out"):
            candidate.run(closed, here, prepared, "large")

    tracking = open_tracking(here.settings)
    experiment = tracking.experiment(spec.name, title=spec.title)
    condition = "tags.`medloop.candidate` = 'large'"
    (left_out,) = runs.every(tracking, experiment, condition=condition)
    assert left_out.info.run_name == "large · left out"
    assert "resnet50_weights" in left_out.data.tags[runs.SKIPPED]
    assert runs.TRAINED not in left_out.data.tags


def test_a_killed_training_goes_on_in_the_same_run(
    mlflow_server: Settings, tmp_path: Path, forks: Forks
) -> None:
    spec, context = small("killed", epochs=6), tracked_context(mlflow_server, tmp_path)
    prepared = prepare_small(context, spec)
    (tmp_path / "spec.json").write_text(spec.model_dump_json())
    (tmp_path / "settings.json").write_text(context.settings.model_dump_json())
    (tmp_path / "prepared.json").write_text(prepared.model_dump_json())
    process = forks.start(TRAIN, str(tmp_path))
    _wait_for_epoch(context.settings.work, 2)
    process.kill()
    (cut,) = _runs(context, spec)
    assert open_tracking(context.settings).client.get_run(cut).info.status == "RUNNING"

    trained = candidate.run(spec, context, prepared, "quick")

    tracking = open_tracking(context.settings)
    assert trained.run_id == cut
    assert _runs(context, spec) == [cut]
    assert tracking.client.get_run(cut).info.status == "FINISHED"
    steps = [entry.step for entry in tracking.client.get_metric_history(cut, "epoch.loss")]
    assert sorted(steps) == list(range(1, 7))


TRAIN = """
import sys
from pathlib import Path
from pipelines.outputs import Prepared
from pipelines.settings import Settings
from pipelines.spec import DatasetSpec
from pipelines.stage import Context
from pipelines.storage import open_store
from pipelines.training import candidate

folder = Path(sys.argv[1])
settings = Settings.model_validate_json((folder / "settings.json").read_text())
candidate.run(
    DatasetSpec.model_validate_json((folder / "spec.json").read_text()),
    Context(settings=settings, store=open_store(settings)),
    Prepared.model_validate_json((folder / "prepared.json").read_text()),
    "quick",
)
"""


def test_a_candidate_the_spec_does_not_have_is_named(
    here: Context, spec: DatasetSpec, prepared: Prepared
) -> None:
    with pytest.raises(SpecError, match="no candidate 'slow'; it has quick"):
        candidate.run(spec, here, prepared, "slow")


def test_nothing_is_trained_that_could_not_be_tracked(
    here: Context, spec: DatasetSpec, prepared: Prepared, tmp_path: Path
) -> None:
    uri = f"http://127.0.0.1:{find_free('127.0.0.1')}"
    away = here.settings.model_copy(update={"mlflow_uri": uri, "home": tmp_path})

    with pytest.raises(TrackingUnavailable, match=uri):
        candidate.run(spec, Context(settings=away, store=here.store), prepared, "quick")

    assert not list(tmp_path.rglob("*.npz"))


def _runs(context: Context, spec: DatasetSpec) -> list[str]:
    """Runs of a data set's experiment, oldest first."""
    tracking = open_tracking(context.settings)
    experiment = tracking.experiment(spec.name, title=spec.title)
    found = tracking.client.search_runs([experiment], order_by=["attributes.start_time ASC"])
    return [run.info.run_id for run in found]


def _wait_for_epoch(work: Path, epoch: int) -> None:
    """Until a training has saved its state after an epoch."""
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline:
        saved = [int(path.stem.partition("-")[2]) for path in work.rglob("epoch-*.npz")]
        if saved and max(saved) >= epoch:
            return
        time.sleep(0.05)
    raise AssertionError("the training saved nothing")

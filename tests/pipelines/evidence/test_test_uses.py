"""Each look at the test set is noted with the model it was about, and counted from these notes."""

from pathlib import Path

import pytest

from pipelines.data.input.cache import fetch
from pipelines.evidence import test_uses as uses
from pipelines.evidence.subject import Subject
from pipelines.settings import Settings
from pipelines.stage import Context
from pipelines.tracking.client import Tracking, open_tracking
from tests.pipelines.data.small_collection import images
from tests.pipelines.evidence.small_subjects import small_subject
from tests.pipelines.tracked import prepare_small, spec_of, tracked_context


@pytest.fixture
def here(mlflow_server: Settings, tmp_path: Path) -> Context:
    return tracked_context(mlflow_server, tmp_path)


@pytest.fixture
def subject(here: Context, tmp_path: Path, name: str) -> Subject:
    return small_subject(here, tmp_path, spec=spec_of(name))


@pytest.fixture
def tracking(here: Context) -> Tracking:
    return open_tracking(here.settings)


@pytest.fixture
def name(request: pytest.FixtureRequest) -> str:
    """Of a data set of the test's own: MLflow is shared."""
    return f"uses_{abs(hash(request.node.name)) % 10**8}"


def new_run(tracking: Tracking, subject: Subject) -> str:
    experiment = tracking.experiment(subject.spec.name, title=subject.spec.title)
    return str(tracking.client.create_run(experiment).info.run_id)


def figures(subject: Subject, folder: Path) -> dict[str, float]:
    return uses.look(subject, folder).figures


def test_models_and_looks_are_counted_once_each(
    subject: Subject, tracking: Tracking, tmp_path: Path
) -> None:
    one, other = new_run(tracking, subject), new_run(tracking, subject)
    for run_id, evaluation in ((one, "a"), (one, "a"), (one, "b"), (other, "a")):
        uses.note_look(tracking, run_id, subject.data, evaluation=evaluation)

    found = uses.look(subject, tmp_path)

    assert (found.figures["looks"], found.figures["models"]) == (3, 2)
    assert "asked 3 times, about 2 models" in found.said[0]


def test_deleted_runs_have_looked_too(subject: Subject, tracking: Tracking, tmp_path: Path) -> None:
    for _ in range(2):
        run_id = new_run(tracking, subject)
        uses.note_look(tracking, run_id, subject.data, evaluation="a")
    tracking.client.delete_run(run_id)

    assert figures(subject, tmp_path)["models"] == 2


def test_other_test_images_are_counted_apart(
    here: Context, subject: Subject, tracking: Tracking, tmp_path: Path
) -> None:
    uses.note_look(tracking, new_run(tracking, subject), subject.data, evaluation="a")
    larger = prepare_small(here, subject.spec, rows=images(per_class=25), identity="larger")
    data = fetch(here, larger)
    for _ in range(3):
        uses.note_look(tracking, new_run(tracking, subject), data, evaluation="a")

    assert figures(subject, tmp_path)["models"] == 1


def test_what_was_trained_on_does_not_make_it_another_test_set(
    here: Context, subject: Subject
) -> None:
    rows = images(per_class=20)
    fewer = [row for row in rows if row["split"] != "train" or row["label"] == "dark"]
    other = prepare_small(here, subject.spec, rows=fewer, identity="fewer")
    data = fetch(here, other)

    assert uses.test_set(data) == uses.test_set(subject.data)


def test_luck_grows_with_the_number_of_models_and_shrinks_with_that_of_cases() -> None:
    assert uses.luck(1, accuracy=0.9, groups=100) == 0
    assert uses.luck(2, accuracy=0.9, groups=100) == pytest.approx(0.564 * 0.03, rel=0.05)
    assert uses.luck(50, accuracy=0.9, groups=100) == pytest.approx(2.25 * 0.03, rel=0.02)
    assert uses.luck(50, accuracy=0.9, groups=10_000) < 0.01


def test_many_models_on_few_cases_are_warned_about(
    subject: Subject, tracking: Tracking, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    uses.note_look(tracking, new_run(tracking, subject), subject.data, evaluation="a")
    assert not uses.look(subject, tmp_path).warnings

    monkeypatch.setattr(uses, "luck", lambda *_, **__: 0.02)

    (warning,) = uses.look(subject, tmp_path).warnings
    assert "2.0 points of accuracy, by chance alone. Judge the next ones on new" in warning

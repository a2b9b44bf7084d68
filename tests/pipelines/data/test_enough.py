"""New images are counted against what the champion was made from, in a real MLflow."""

import secrets
from pathlib import Path

import pytest

from pipelines.data import enough
from pipelines.data.land import ingest, landing
from pipelines.errors import TrackingUnavailable
from pipelines.outputs import Enough, Snapshot, Waker
from pipelines.settings import Settings
from pipelines.spec import DatasetSpec
from pipelines.spec.operations import RetrainSpec
from pipelines.stage import Context
from pipelines.tracking import versions
from pipelines.tracking.client import open_tracking
from tests.pipelines.data.landing_folders import class_folders, spec
from tests.pipelines.tracked import tracked_context


@pytest.fixture
def tracked(mlflow_server: Settings, tmp_path: Path) -> Context:
    return tracked_context(mlflow_server, tmp_path)


def pets(**retrain: float) -> DatasetSpec:
    """A spec of a name that nobody else uses on the server."""
    return spec(name=f"pets_{secrets.token_hex(4)}", retrain=retrain)


def ingested(context: Context, pets: DatasetSpec, folder: Path) -> Snapshot:
    return ingest.run(pets, context, landing.run(pets, context, str(folder)))


def champion_of(context: Context, pets: DatasetSpec, snapshot: str) -> None:
    """Let a version made from a snapshot serve."""
    tracking = open_tracking(context.settings)
    experiment = tracking.experiment(pets.name, title="A test")
    run = tracking.client.create_run(experiment).info.run_id
    made = versions.register(
        tracking,
        pets.name,
        run_id=run,
        artifact="bundles/b",
        about="A test.",
        tags={versions.SNAPSHOT_TAG: snapshot},
    )
    versions.set_alias(tracking, pets.name, "champion", version=made.version)


def test_new_images_are_counted_by_their_bytes_and_must_reach_both_bounds(
    tracked: Context, tmp_path: Path
) -> None:
    few = pets(min_new_images=5)
    folder = class_folders(tmp_path / "landing", per_class=8)
    first = ingested(tracked, few, folder)
    champion_of(tracked, few, first.path)
    class_folders(folder, per_class=2, first=50)
    (folder / "cat" / "copy.png").write_bytes((folder / "cat" / "050.png").read_bytes())
    second = ingested(tracked, few, folder)

    asked = enough.run(few, tracked, second, woken_by="landing")

    assert (asked.enough, asked.said) == (False, "4 new images, 5 wanted")
    for images, share, suffices in [
        (4, 0.0, True),
        (1, 0.25, True),
        (1, 0.26, False),
        (5, 0.1, False),
    ]:
        bounds = RetrainSpec(min_new_images=images, min_new_share=share)
        other = few.model_copy(update={"retrain": bounds})
        assert enough.run(other, tracked, second, woken_by="landing").enough == suffices, bounds
    others: tuple[Waker, ...] = ("hand", "schedule", "drift")
    for waker in others:
        assert enough.run(few, tracked, second, woken_by=waker).enough


def test_images_whose_label_or_patient_changed_count_and_copies_do_not(
    tracked: Context, tmp_path: Path
) -> None:
    named = pets(min_new_images=2)
    folder = class_folders(tmp_path / "landing", per_class=4)
    champion_of(tracked, named, ingested(tracked, named, folder).path)
    (folder / "cat" / "copy.png").write_bytes((folder / "cat" / "000.png").read_bytes())

    def asked() -> Enough:
        return enough.run(named, tracked, ingested(tracked, named, folder), woken_by="landing")

    assert (asked().enough, asked().said) == (False, "0 new images, 2 wanted")
    corrections = "source_path,label,why\ncat/001.png,dog,seen\n"
    (folder / "corrections.csv").write_text(corrections)
    found = asked()
    assert (found.enough, found.new_images, found.changed_images) == (False, 0, 1)
    assert found.said == "0 new images and 1 changed image (label: 1), 2 wanted"
    (folder / "corrections.csv").write_text(corrections + "dog/000.png,cat,seen\n")
    assert asked().enough


def test_what_a_training_depends_on_counts_and_the_rest_does_not() -> None:
    row = {"sha256": "a", "label": "cat", "patient": "p", "declared_split": None, "metadata": "{}"}
    other = row | {"sha256": "b"}
    seen = [row, other]
    for now, found in (
        (seen, {}),
        ([row, other | {"source_path": "moved.png"}], {}),
        ([row, other | {"metadata": '{"sex": "F"}'}], {}),
        ([row, other | {"label": "dog"}], {"label": {"b"}}),
        ([row, other, other | {"label": "dog"}], {"label": {"b"}}),
        ([row | {"patient": "q"}, other], {"group": {"a"}}),
        ([row | {"patient": "q", "label": "dog"}, other], {"label": {"a"}, "group": {"a"}}),
        ([row, other | {"declared_split": "test"}], {"split": {"b"}}),
        ([row], {"removed": {"b"}}),
    ):
        assert enough.changes(seen, now) == found


def test_a_changed_mask_counts_where_images_are_cropped_by_masks() -> None:
    mask = {"image": "a", "sha256": "m"}
    assert enough.changed_masks([mask], [mask]) == set()
    assert enough.changed_masks([mask], [mask | {"sha256": "n"}]) == {"a"}
    assert enough.changed_masks([], [mask]) == {"a"}
    assert enough.changed_masks([mask], []) == {"a"}


def test_without_a_champion_anything_is_enough(tracked: Context, tmp_path: Path) -> None:
    many = pets(min_new_images=1000)
    snapshot = ingested(tracked, many, class_folders(tmp_path / "landing"))

    assert enough.run(many, tracked, snapshot, woken_by="landing").enough
    champion_of(tracked, many, f"{many.name}/snapshots/0001-that-is-gone")
    assert enough.run(many, tracked, snapshot, woken_by="landing").enough


def test_a_tracking_server_that_is_away_may_come_back(context: Context, tmp_path: Path) -> None:
    away = context.settings.model_copy(update={"mlflow_uri": "http://127.0.0.1:1"})
    snapshot = ingested(context, spec(), class_folders(tmp_path / "landing"))
    with pytest.raises(TrackingUnavailable):
        enough.run(spec(), Context(away, context.store), snapshot, woken_by="landing")

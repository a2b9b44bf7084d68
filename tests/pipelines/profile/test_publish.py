from pathlib import Path

from pipelines.outputs import DataProfile
from pipelines.profile.publish import publish
from pipelines.settings import Settings
from pipelines.tracking.client import open_tracking
from tests.pipelines.tracked import spec_of, tracked_context

SPEC = spec_of("shown")
PROFILE = DataProfile(
    dataset="shown", id="0f", prepared="shown/prepared/1", path="shown/data_profiles/0f", images=9
)
STATISTICS = {
    "train": {"bright": {"images": 7, "grey_mean": 170.5, "grey_std": 20.0}},
    "test": {"bright": {"images": 2, "grey_mean": 171.0, "grey_std": 19.0}, "dark": {"images": 0}},
}


def test_a_profile_is_one_run_in_mlflow(mlflow_server: Settings, tmp_path: Path) -> None:
    context = tracked_context(mlflow_server, tmp_path)
    context.store.write(f"{PROFILE.path}/report.html", b"<p>the page</p>")
    context.store.write(f"{PROFILE.path}/pictures/means.png", b"a picture")
    context.store.write_json(f"{PROFILE.path}/statistics.json", STATISTICS)

    published = publish(SPEC, context, PROFILE)

    assert published.run_id is not None
    assert publish(SPEC, context, PROFILE) == published
    tracking = open_tracking(context.settings)
    run = tracking.client.get_run(published.run_id)
    assert run.info.status == "FINISHED"
    assert run.data.metrics["train.bright.grey_mean"] == 170.5
    assert run.data.metrics["test.dark.images"] == 0
    page = tracking.download(published.run_id, "report.html", target=tmp_path)
    assert page.read_bytes() == b"<p>the page</p>"
    assert tracking.artifacts(published.run_id, "pictures") == ["pictures/means.png"]
    experiment = tracking.client.get_experiment(run.info.experiment_id)
    assert experiment.name == "shown-data"

"""The service follows a real registry: refusals, several data sets, restarts without MLflow."""

import json
import shutil
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest
from typer.testing import CliRunner

from benchmarks.swaps import flip_a_bit
from pipelines.cli import status
from pipelines.cli.app import app
from pipelines.release import registry
from pipelines.release.bundle import IR_WEIGHTS, read_manifest, write_manifest
from pipelines.settings import Settings, get_settings
from pipelines.spec import load_spec
from pipelines.spec.operations import AutoRollbackSpec
from pipelines.stage import Context
from pipelines.storage import open_store
from pipelines.tracking import versions
from pipelines.tracking.client import open_tracking
from tests.serving.bundles import jpeg, png
from tests.serving.publishing import crown, publish
from tests.serving.running import running_service

NOBODY = "http://127.0.0.1:9"


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """State of the service."""
    return tmp_path_factory.mktemp("service")


@pytest.fixture(scope="module")
def http(mlflow_server: Settings, home: Path) -> Iterator[httpx.Client]:
    """The service, following the test's MLflow; these tests tell one story, in order."""
    with running_service(home, mlflow_uri=mlflow_server.tracking_uri) as client:
        yield client


@pytest.fixture
def ours(
    http: httpx.Client, mlflow_server: Settings, home: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Settings]:
    """The service's installation, which commands of this process find."""
    for name, value in {
        "MEDLOOP_HOME": home,
        "MEDLOOP_STORE": (home / "store").as_uri(),
        "MEDLOOP_MLFLOW_URI": mlflow_server.tracking_uri,
        "MEDLOOP_SERVICE_URL": http.base_url,
    }.items():
        monkeypatch.setenv(name, str(value).rstrip("/"))
    get_settings.cache_clear()
    yield get_settings()
    get_settings.cache_clear()


def test_before_any_champion_it_is_up_and_says_so(http: httpx.Client) -> None:
    _wait(lambda: http.get("/model").json()["registry"] == "following")
    reply = http.post("/predict", files={"image": png()})
    assert (reply.status_code, reply.json()["error"]["code"]) == (503, "no_champion")
    assert http.get("/readyz").status_code == 200


def test_the_first_champion_serves_without_a_restart(
    http: httpx.Client, mlflow_server: Settings, tmp_path: Path
) -> None:
    version = publish(mlflow_server, tmp_path / "b", dataset="phantom", seed=1)
    assert http.get("/model").json()["models"] == []
    crown(mlflow_server, "phantom", version)
    _wait_for_version(http, version)


def test_a_broken_champion_is_refused_and_the_old_one_serves(
    http: httpx.Client, mlflow_server: Settings, tmp_path: Path, home: Path
) -> None:
    before = _version(http)

    def spoil(folder: Path) -> None:
        (folder / IR_WEIGHTS).write_bytes(b"not these weights")

    broken = publish(mlflow_server, tmp_path / "b", dataset="phantom", seed=4, spoil=spoil)
    crown(mlflow_server, "phantom", broken)
    _wait(lambda: http.get("/model").json()["refused"])
    (refusal,) = http.get("/model").json()["refused"]
    assert refusal["model_version"] == broken
    assert IR_WEIGHTS in refusal["reason"]
    assert _version(http) == before
    assert f"version {broken} is refused" in (home / "service.log").read_text("utf-8")


def test_a_bundle_of_another_data_set_is_refused(
    http: httpx.Client, mlflow_server: Settings, tmp_path: Path
) -> None:
    def relabel(folder: Path) -> None:
        write_manifest(folder, read_manifest(folder).model_copy(update={"dataset": "brain_mri"}))

    before = _version(http)
    wrong = publish(mlflow_server, tmp_path / "b", dataset="phantom", seed=7, spoil=relabel)
    crown(mlflow_server, "phantom", wrong)
    _wait(lambda: http.get("/model").json()["refused"][0]["model_version"] == wrong)
    assert "'brain_mri', not 'phantom'" in http.get("/model").json()["refused"][0]["reason"]
    assert _version(http) == before


def test_a_bundle_of_another_pillow_serves_only_if_its_pixels_are_the_same(
    http: httpx.Client, mlflow_server: Settings, tmp_path: Path, home: Path
) -> None:
    def of_another_pillow(folder: Path, **pixels: str) -> None:
        manifest = read_manifest(folder)
        assert manifest.decoding is not None
        known = manifest.decoding
        update = {
            "versions": known.versions | {"pillow": "1.0"},
            "pixels": known.pixels | pixels,
        }
        decoding = known.model_copy(update=update)
        write_manifest(folder, manifest.model_copy(update={"decoding": decoding}))

    def other_pixels(folder: Path) -> None:
        of_another_pillow(folder, **{"canary/spot-0.png": "0" * 64})

    before = _version(http)
    other = publish(mlflow_server, tmp_path / "a", dataset="phantom", seed=9, spoil=other_pixels)
    crown(mlflow_server, "phantom", other)
    _wait(lambda: http.get("/model").json()["refused"][0]["model_version"] == other)
    reason = http.get("/model").json()["refused"][0]["reason"]
    assert "the pixels of canary/spot-0.png differ" in reason
    assert "pillow 1.0 there" in reason
    assert "medloop retrain phantom" in reason
    assert http.post("/predict", files={"image": png()}).json()["model_version"] == before

    same = publish(
        mlflow_server, tmp_path / "b", dataset="phantom", seed=9, spoil=of_another_pillow
    )
    crown(mlflow_server, "phantom", same)
    _wait_for_version(http, same)
    assert http.post("/predict", files={"image": png()}).json()["model_version"] == same
    refused = http.post("/predict", files={"image": jpeg()})
    assert (refused.status_code, refused.json()["error"]["code"]) == (415, "unsupported")
    assert "PNG RGB" in refused.json()["error"]["message"]
    assert "all 3 canary images have the same pixels" in (home / "service.log").read_text("utf-8")


def test_after_a_refusal_the_next_good_champion_serves(
    http: httpx.Client, mlflow_server: Settings, tmp_path: Path
) -> None:
    version = publish(mlflow_server, tmp_path / "b", dataset="phantom", seed=5)
    crown(mlflow_server, "phantom", version)
    _wait_for_version(http, version)
    assert http.get("/model").json()["refused"] == []


def test_a_disk_that_takes_no_note_stops_no_swap_and_is_asked_again(
    http: httpx.Client, mlflow_server: Settings, tmp_path: Path, home: Path
) -> None:
    note = home / "service" / "phantom.json"
    note.unlink()
    (note / "in the way").mkdir(parents=True)
    version = publish(mlflow_server, tmp_path / "b", dataset="phantom", seed=8)
    crown(mlflow_server, "phantom", version)
    _wait_for_version(http, version)
    time.sleep(2)  # several looks
    log = (home / "service.log").read_text("utf-8")
    assert log.count(f"version {version} is the champion; loading it") == 1
    assert log.count("cannot note the bundle that serves") == 1
    shutil.rmtree(note)
    _wait(note.is_file)
    assert f"/{version}-" in json.loads(note.read_text("utf-8"))["bundle"]


def test_a_champion_that_does_worse_than_the_one_before_is_rolled_back(
    http: httpx.Client,
    mlflow_server: Settings,
    tmp_path: Path,
    ours: Settings,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Its canary images are small: that it refuses larger ones shows in practice only."""

    def shrink(folder: Path) -> None:
        manifest = read_manifest(folder)
        limits = manifest.limits.model_copy(update={"max_megapixels": 0.01})
        write_manifest(folder, manifest.model_copy(update={"limits": limits}))

    spec = load_spec("phantom")
    limited = spec.model_copy(update={"auto_rollback": AutoRollbackSpec(refused=0.1)})
    monkeypatch.setattr("pipelines.loop.opening.load_spec", lambda _: limited)
    context = Context(settings=ours, store=open_store(ours))
    for name, spoil in (("good", None), ("worse", shrink)):
        version = publish(mlflow_server, tmp_path / name, dataset="phantom", seed=11, spoil=spoil)
        registry.promote(context, "phantom", version)
        _wait_for_version(http, version)
        for seed in range(25):
            image = png(seed, width=200, height=200)
            http.post("/predict", files={"image": image}, data={"dataset": "phantom"})

    def checked() -> bool:
        result = CliRunner().invoke(app, ["check-promotions"])
        assert result.exit_code == 0, result.output
        return "rolled back" in " ".join(result.output.split())

    _wait(checked)  # the last lines of the audit log are written meanwhile
    _wait_for_version(http, version - 1)
    assert f"version {version} was rolled back (images refused: " in status.champion("phantom")


def test_a_second_data_set_serves_beside_the_first(
    http: httpx.Client, mlflow_server: Settings, tmp_path: Path
) -> None:
    version = publish(mlflow_server, tmp_path / "b", dataset="chest_xray", seed=6)
    crown(mlflow_server, "chest_xray", version)
    _wait(lambda: len(http.get("/model").json()["models"]) == 2)
    reply = http.post("/predict", files={"image": png()}, data={"dataset": "chest_xray"})
    assert (reply.json()["dataset"], reply.json()["model_version"]) == ("chest_xray", version)


@pytest.mark.usefixtures("ours")
def test_service_and_status_agree_where_the_registry_was_edited_by_hand(
    http: httpx.Client, mlflow_server: Settings, tmp_path: Path
) -> None:
    tracking, serves = open_tracking(mlflow_server), _version(http)
    assert serves is not None
    note = f"serves version {serves}; the registry has no champion alias"

    def edited(edit: Callable[[], object], expected: str | None) -> None:
        edit()
        _wait(lambda: _note(http) == expected)
        assert _version(http) == serves
        told = status.champion("phantom").partition(", as version ")[0]  # the rollback before
        assert told == (expected or f"version {serves}")

    client = tracking.client
    edited(lambda: versions.delete_alias(tracking, "phantom", "champion"), note)
    edited(lambda: crown(mlflow_server, "phantom", serves), None)
    edited(lambda: client.delete_model_version("phantom", str(serves)), note)
    edited(lambda: client.delete_registered_model("phantom"), note)
    # another version of the same number, as the registry counts from 1 again
    for seed in range(20, 20 + serves):
        again = publish(mlflow_server, tmp_path / str(seed), dataset="phantom", seed=seed)
    crown(mlflow_server, "phantom", again)
    _wait(lambda: _note(http) is None)
    _wait_for_version(http, again)
    client.delete_run(versions.named(tracking, "phantom", again).run_id)
    time.sleep(2)  # several looks
    assert (_note(http), _version(http)) == (None, again)


def _note(http: httpx.Client) -> str | None:
    """What ``/model`` says of how the registry differs from what serves."""
    models = http.get("/model").json()["models"]
    return next(str(m["registry_note"] or "") for m in models if m["dataset"] == "phantom") or None


def test_a_restart_without_mlflow_serves_the_last_good_bundles(
    http: httpx.Client, home: Path
) -> None:
    serving = {m["dataset"]: m["model_version"] for m in http.get("/model").json()["models"]}
    with running_service(home, mlflow_uri=NOBODY) as again:
        reply = again.post("/predict", files={"image": png()}, data={"dataset": "phantom"})
        assert reply.json()["model_version"] == serving["phantom"]
        _wait(lambda: again.get("/model").json()["registry"] == "unreachable")
        after = again.get("/model").json()
    assert {m["dataset"]: m["model_version"] for m in after["models"]} == serving
    assert NOBODY in after["registry_detail"]
    log = (home / "service.log").read_text("utf-8")
    assert log.count("The registry is unreachable") == 1
    assert "Retrying" not in log
    assert "serving the last good bundle" in log


def test_an_altered_last_good_bundle_of_a_moved_home_is_refused_by_name(
    home: Path, tmp_path: Path
) -> None:
    moved = tmp_path / "moved"
    shutil.copytree(home, moved)
    note = json.loads((moved / "service" / "phantom.json").read_text("utf-8"))
    flip_a_bit(moved / note["bundle"] / IR_WEIGHTS)
    with running_service(moved, mlflow_uri=NOBODY) as again:
        reply = again.post("/predict", files={"image": png()}, data={"dataset": "phantom"})
        assert reply.status_code == 404
        (refusal,) = again.get("/model").json()["refused"]
        assert (refusal["dataset"], refusal["model_version"]) == ("phantom", None)
        assert IR_WEIGHTS in refusal["reason"]


def _version(http: httpx.Client) -> int | None:
    """The version that answers for ``phantom`` now."""
    reply = http.post("/predict", files={"image": png()}, data={"dataset": "phantom"})
    return reply.json().get("model_version") if reply.status_code == 200 else None


def _wait_for_version(http: httpx.Client, version: int) -> None:
    _wait(lambda: _version(http) == version)


def _wait(condition: Callable[[], object], *, seconds: float = 40) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not come"
        time.sleep(0.1)

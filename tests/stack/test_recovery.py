"""Everything is destroyed, for real, and comes back from a backup taken under load."""

import os
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest

import stack
from pipelines import database
from pipelines.access.own import own_token
from pipelines.backup import take
from pipelines.backup.manifest import verify
from pipelines.data.land import ingest, landing
from pipelines.data.restore import originals
from pipelines.data.revisions import latest
from pipelines.errors import BackupError
from pipelines.settings import Settings
from pipelines.stage import Context
from pipelines.storage import open_store
from pipelines.tracking.client import open_tracking
from stack import recovery
from stack.environment import settings_environment
from stack.testing import isolated_settings
from tests.pipelines.data.landing_folders import class_folders, spec
from tests.pipelines.data.recorded import index_of
from tests.serving.bundles import png
from tests.serving.publishing import crown, publish

pytestmark = pytest.mark.timeout(400)

PARTS = ["hdfs", "mlflow", "service"]
FIELDS: dict[str, Any] = {
    "champion_poll_seconds": 0.5,
    "service_sample_seconds": 1,
    "service_sample_share": 1,
}


@dataclass
class Installation:
    """A running installation with a champion, a snapshot and secrets, and a backup of it."""

    settings: Settings
    backup: Path
    before: dict[str, Any]


@pytest.fixture(scope="module")
def installation(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Installation]:
    folder = tmp_path_factory.mktemp("recovery")
    settings = isolated_settings(folder / "home", datasets=folder / "datasets", **FIELDS)
    settings.datasets.mkdir()
    (settings.datasets / "pets.yaml").write_text(spec().model_dump_json())
    try:
        stack.up(settings, PARTS)
        _live(settings, folder)
        with _writing(settings):
            backup = take.run(settings, to=folder / "elsewhere", pictures=True, keep=3)
        yield Installation(settings, backup, _seen(settings))
    finally:
        stack.down(settings)


def _live(settings: Settings, folder: Path) -> None:
    """What a while of use leaves behind."""
    crown(settings, "pets", publish(settings, folder / "bundle", dataset="pets", seed=1))
    context = Context(settings=settings, store=open_store(settings))
    for first, per_class in ((0, 4), (4, 3)):
        source = class_folders(folder / f"landing-{first}", per_class=per_class, first=first)
        ingest.run(spec(), context, landing.run(spec(), context, str(source)))
    own_token(settings)
    database.query(settings, "CREATE TABLE runs AS SELECT 42 AS answer", database="airflow")
    _wait(lambda: _answer(settings)["model_version"] == 1)


@contextmanager
def _writing(settings: Settings) -> Iterator[None]:
    """MLflow runs end, audit lines are written and images are answered for meanwhile."""
    stopped = threading.Event()
    tracking = open_tracking(settings)
    experiment = tracking.experiment("load", title="load")

    def log_runs() -> None:
        while not stopped.is_set():
            run_id = tracking.client.create_run(experiment).info.run_id
            tracking.upload_json(run_id, "done.json", {"run": run_id})
            tracking.client.set_terminated(run_id)

    def ask() -> None:
        while not stopped.is_set():
            _answer(settings)

    threads = [threading.Thread(target=work) for work in (log_runs, ask)]
    for thread in threads:
        thread.start()
    try:
        _wait(lambda: len(tracking.client.search_runs([experiment])) > 3)
        yield
    finally:
        stopped.set()
        for thread in threads:
            thread.join()


def _seen(settings: Settings) -> dict[str, Any]:
    """What the installation answers, of all that must come back."""
    tracking = open_tracking(settings)
    context = Context(settings=settings, store=open_store(settings))
    snapshot = latest(context, "pets")
    experiment = tracking.experiment("pets", title="pets")
    return {
        "answer": _answer(settings),
        "overlay": httpx.post(f"{settings.service}/gradcam", files={"image": png(5)}).content,
        "runs": [run.to_dictionary() for run in tracking.client.search_runs([experiment])],
        "champion": tracking.client.get_model_version_by_alias("pets", "champion").version,
        "snapshot": snapshot,
        "images": {row["sha256"]: data for row, data in _originals(context, snapshot)},
        "airflow": database.query(settings, "SELECT answer FROM runs", database="airflow"),
        "token": own_token(settings),
        "key": (settings.home / "pseudonyms.key").read_bytes(),
        "spec": (settings.datasets / "pets.yaml").read_text(),
    }


def _originals(context: Context, snapshot: Any) -> list[tuple[dict[str, Any], bytes]]:
    return list(originals(context, index_of(context, snapshot)))


def _answer(settings: Settings) -> dict[str, Any]:
    """The service's answer to one image, without what differs from request to request."""
    reply = httpx.post(f"{settings.service}/predict", files={"image": png(5)}, timeout=30)
    answer: dict[str, Any] = reply.json()
    return {k: v for k, v in answer.items() if k not in ("request_id", "milliseconds", "timings")}


def _wait(condition: Callable[[], object], *, seconds: float = 60) -> None:
    deadline = time.monotonic() + seconds
    while True:
        try:
            if condition():
                return
        except (httpx.TransportError, KeyError):
            pass
        assert time.monotonic() < deadline, "not in time"
        time.sleep(0.1)


def test_a_backup_is_for_its_owner_only_and_whole(installation: Installation) -> None:
    manifest = verify(installation.backup)

    files = [path for path in installation.backup.rglob("*") if path.is_file()]
    assert all(path.stat().st_mode & 0o077 == 0 for path in files)
    assert installation.backup.stat().st_mode & 0o077 == 0
    assert list(manifest.databases) == ["airflow", "mlflow"]
    assert manifest.partial == ()
    assert "home/pseudonyms.key" in manifest.files
    assert "home/service/access/tokens.json" in manifest.files
    assert not any(name.startswith(("home/postgres", "home/hdfs")) for name in manifest.files)


def test_a_damaged_backup_is_refused_by_name_and_nothing_is_touched(
    installation: Installation, tmp_path: Path
) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(installation.backup, copy)
    damaged = copy / "databases" / "mlflow.dump"
    content = bytearray(damaged.read_bytes())
    content[len(content) // 2] ^= 1
    damaged.write_bytes(content)

    with pytest.raises(BackupError, match=r"databases/mlflow\.dump is not the file"):
        recovery.restore(installation.settings, copy)
    assert _answer(installation.settings) == installation.before["answer"]


def test_an_installation_with_state_is_not_overwritten(installation: Installation) -> None:
    with pytest.raises(BackupError, match=r"not empty.*bundles.*--force"):
        recovery.require_empty(installation.settings)


def test_what_was_destroyed_comes_back_to_the_last_digit(installation: Installation) -> None:
    settings = installation.settings
    stack.down(settings)
    shutil.rmtree(settings.home)
    shutil.rmtree(settings.datasets)

    told = _medloop(settings, "restore-backup", str(installation.backup))

    assert "medloop stack up" in told
    stack.up(settings, PARTS)
    _wait(lambda: _answer(settings)["model_version"] == 1)
    after = _seen(settings)
    for what, value in installation.before.items():
        assert after[what] == value, what
    _require_whole_runs(settings)


def _require_whole_runs(settings: Settings) -> None:
    """What MLflow says was done while the backup ran has its artifact."""
    tracking = open_tracking(settings)
    experiment = tracking.experiment("load", title="load")
    done = tracking.client.search_runs([experiment], "attributes.status = 'FINISHED'")
    assert len(done) >= 3
    for run in done:
        assert tracking.read_json(run.info.run_id, "done.json") == {"run": run.info.run_id}


def _medloop(settings: Settings, *arguments: str) -> str:
    ended = subprocess.run(
        [sys.executable, "-m", "pipelines.cli", *arguments],
        env=os.environ | settings_environment(settings),
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.returncode == 0, ended.stdout + ended.stderr
    return ended.stdout + ended.stderr

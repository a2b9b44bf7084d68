"""Which DAGs Airflow finds: those of data sets in use, and nothing an invalid file could stop."""

import shutil
from pathlib import Path
from typing import Any

import pytest
import yaml
from airflow.dag_processing.dagbag import DagBag

from pipelines.activity import disable, enable
from pipelines.alerts.log import latest
from pipelines.data.folders import FileState
from pipelines.data.land.ledger import open_ledger
from pipelines.settings import PROJECT, Settings, get_settings
from serving.follower import remember


@pytest.fixture
def installation(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    """A fresh installation with the data sets that the project ships."""
    shutil.copytree(PROJECT / "datasets", tmp_path / "datasets")
    monkeypatch.setenv("MEDLOOP_DATASETS", str(tmp_path / "datasets"))
    monkeypatch.setenv("MEDLOOP_HOME", str(tmp_path / "home"))
    get_settings.cache_clear()
    return get_settings()


def bag() -> DagBag:
    """What Airflow makes of the folder."""
    return DagBag(str(PROJECT / "dags"), collect_dags=True)


def of(dataset: str, found: DagBag) -> set[str]:
    """The kinds of DAGs that a data set has."""
    kinds = ("retrain", "monitor", "score")
    return {kind for kind in kinds if f"{kind}_{dataset}" in found.dags}


def schedule(found: DagBag, dag: str) -> tuple[bool, set[str]]:
    """Whether a clock wakes a DAG, and the assets that do."""
    timetable: Any = found.dags[dag].timetable
    condition = getattr(timetable, "asset_condition", None)
    assets = {asset.name for asset in condition.objects} if condition else set()
    return "Cron" in str(timetable) or hasattr(timetable, "timetable"), assets


def set_schedule(settings: Settings, dataset: str, **retrain: object) -> None:
    """Change one block of a data set's file."""
    file = settings.datasets / f"{dataset}.yaml"
    spec = yaml.safe_load(file.read_text("utf-8"))
    file.write_text(yaml.safe_dump(spec | {"retrain": retrain}), "utf-8")


def land(settings: Settings, dataset: str) -> None:
    file = FileState("a/1.png", 1, 1, 0.0)
    open_ledger(settings, dataset).landed("/landing", [file], "0001")


def break_ledger(settings: Settings, dataset: str) -> None:
    ledger = settings.home / "landed" / f"{dataset}.sqlite"
    ledger.parent.mkdir(parents=True, exist_ok=True)
    ledger.write_bytes(b"not a database, but long enough to be taken for one" * 50)


def test_a_data_set_has_its_dags_and_its_clock_once_it_is_in_use(installation: Settings) -> None:
    names = [path.stem for path in installation.datasets.glob("*.yaml")]
    for name in names:
        set_schedule(installation, name, schedule="@daily")

    fresh = bag()

    assert not fresh.import_errors
    assert set(fresh.dags) == {"backup", "prune", *(f"retrain_{name}" for name in names)}
    for name in names:
        assert schedule(fresh, f"retrain_{name}") == (False, {f"{name}_landing"})

    land(installation, "phantom")
    remember(installation, "brain_mri", Path("/bundle"))
    enable(installation, "skin_lesion")
    break_ledger(installation, "chest_xray")
    land(installation, "brain_tumor")
    disable(installation, "brain_tumor")
    used = bag()

    for name in ("phantom", "brain_mri", "skin_lesion", "chest_xray"):
        assert of(name, used) == {"retrain", "monitor", "score"}
        assert schedule(used, f"retrain_{name}") == (True, {f"{name}_landing"})
    assert of("brain_tumor", used) == {"retrain"}
    assert schedule(used, "retrain_brain_tumor") == (False, set())
    assert of("skin_lesion_7", used) == {"retrain"}


def test_an_invalid_file_disables_its_own_data_set_and_is_reported(
    installation: Settings,
) -> None:
    file = installation.datasets / "brain_mri.yaml"
    good = file.read_bytes()
    enable(installation, "phantom")
    enable(installation, "brain_mri")
    file.write_bytes(b"name: [")

    found = bag()

    assert of("phantom", found) == {"retrain", "monitor", "score"}
    assert of("brain_mri", found) == set()
    ((reporting, error),) = found.import_errors.items()
    assert Path(reporting).name == "invalid_specs.py"
    assert f"{file} is not YAML" in error
    (notice,) = latest(installation, 10)
    assert (notice.state, notice.alert.kind) == ("begun", "spec_invalid")
    assert notice.alert.dataset == "brain_mri"
    assert f"{file} is not YAML" in notice.alert.text

    file.write_bytes(good)
    found = bag()

    assert not found.import_errors
    assert of("brain_mri", found) == {"retrain", "monitor", "score"}
    assert {notice.state for notice in latest(installation, 10)} == {"begun", "over"}

"""Settings come from ``MEDLOOP_...`` and nowhere else."""

from pathlib import Path

import pytest

from pipelines.errors import SettingsError
from pipelines.settings import Settings, get_settings


@pytest.fixture(autouse=True)
def _fresh() -> None:
    get_settings.cache_clear()


def test_addresses_follow_from_host_and_ports() -> None:
    settings = Settings(host="127.0.0.2", service_port=3001, mlflow_port=5001)

    assert settings.service == "http://127.0.0.2:3001"
    assert settings.tracking_uri == "http://127.0.0.2:5001"
    assert settings.store_root == "hdfs://127.0.0.2:8020/medloop"


def test_a_part_elsewhere_is_named_by_its_url() -> None:
    settings = Settings(store="hdfs://nn:9000/data/", mlflow_uri="https://mlflow.example/")

    assert settings.store_root == "hdfs://nn:9000/data"
    assert settings.tracking_uri == "https://mlflow.example"


def test_home_is_made_absolute(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MEDLOOP_HOME", "state")

    assert get_settings().home == tmp_path / "state"


def test_an_unusable_value_names_its_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MEDLOOP_SERVICE_PORT", "seven")

    with pytest.raises(SettingsError, match="MEDLOOP_SERVICE_PORT='seven'"):
        get_settings()


def test_the_service_is_asked_by_https_where_it_has_a_certificate(tmp_path: Path) -> None:
    settings = Settings(service_tls_cert=tmp_path / "c.pem", service_url="https://ml.example/")

    assert settings.service_address == "https://127.0.0.1:3000"
    assert settings.service == "https://ml.example"


@pytest.mark.parametrize(
    "origins", ["https://viewer.example", "https://a.example, http://localhost:8080", ""]
)
def test_exact_origins_are_taken(origins: str) -> None:
    assert Settings(service_cors_origins=origins).service_cors_origins == origins


@pytest.mark.parametrize(
    "origin",
    ["*", "null", "viewer.example", "https://viewer.example/", "https://*.example", "HTTPS://a.b"],
)
def test_an_origin_that_would_match_more_or_nothing_is_refused(
    origin: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MEDLOOP_SERVICE_CORS_ORIGINS", f"https://a.example,{origin}")

    with pytest.raises(SettingsError, match="is no origin"):
        get_settings()

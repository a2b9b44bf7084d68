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


@pytest.mark.parametrize(
    ("variable", "value", "says"),
    [
        ("SPARK", "spark://", r"write local, local\[CORES\], standalone, yarn or spark://HOST"),
        ("SPARK", "local[0]", "not a place where Spark works"),
        ("SPARK", "k8s://cluster", "not a place where Spark works"),
        ("SPARK_EXECUTORS", "0", "greater than or equal to 1"),
        ("SPARK_EXECUTOR_CORES", "no", "valid integer"),
        ("SPARK_EXECUTOR_MEMORY", "2 GB", "write 512m or 2g"),
        ("SPARK_DRIVER_MEMORY", "lots", "write 512m or 2g"),
        ("SPARK_EVENT_LOG", "logs", "neither an absolute path nor a URI"),
        ("SPARK_HADOOP_CONF", "/etc/hadoop/conf", "with MEDLOOP_SPARK=yarn only"),
    ],
)
def test_an_unusable_setting_of_spark_names_its_variable(
    variable: str, value: str, says: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(f"MEDLOOP_{variable}", value)

    with pytest.raises(SettingsError, match=rf"^MEDLOOP_{variable}='.*' is not usable: .*{says}"):
        get_settings()


def test_executors_need_a_number_of_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MEDLOOP_SPARK_EXECUTORS", "3")

    with pytest.raises(SettingsError, match=r"MEDLOOP_SPARK_EXECUTOR_CORES.*_EXECUTORS is set"):
        get_settings()


@pytest.mark.parametrize(
    ("fields", "url", "embedded"),
    [
        ({}, "local[*,4]", None),
        ({"spark": "local[2]"}, "local[2]", None),
        ({"spark": "standalone"}, "spark://127.0.0.1:7077", "standalone"),
        ({"spark": "yarn"}, "yarn", "yarn"),
        ({"spark": "yarn", "spark_hadoop_conf": "/etc/hadoop/conf"}, "yarn", None),
        ({"spark": "spark://a:7077,b:7077"}, "spark://a:7077,b:7077", None),
    ],
)
def test_where_spark_works(fields: dict[str, str], url: str, embedded: str | None) -> None:
    settings = Settings.model_validate(fields)

    assert (settings.spark_url, settings.embedded_spark) == (url, embedded)


def test_the_old_name_of_a_setting_is_read_with_a_warning(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    file = tmp_path / "old.env"
    file.write_text("MEDLOOP_SPARK_MASTER=spark://file:7077\n", "utf-8")
    assert Settings(_env_file=file).spark == "spark://file:7077"
    assert "MEDLOOP_SPARK_MASTER is deprecated" in caplog.text
    assert "set MEDLOOP_SPARK" in caplog.text

    monkeypatch.setenv("MEDLOOP_SPARK_MASTER", "yarn")
    monkeypatch.setenv("HADOOP_CONF_DIR", "/etc/hadoop/conf")
    old = Settings(_env_file=file)
    assert (old.spark, old.spark_hadoop_conf) == ("yarn", Path("/etc/hadoop/conf"))

    monkeypatch.setenv("MEDLOOP_SPARK", "local[2]")
    monkeypatch.delenv("HADOOP_CONF_DIR")
    assert Settings(_env_file=file).spark == "local[2]"


@pytest.mark.parametrize(
    ("name", "value", "told"),
    [
        ("KEEP_SERVED_DAYS", "30", "the monitor still reads samples of the last 31 days"),
        ("KEEP_LOGS_DAYS", "-1", "greater than or equal to 0"),
        ("PRUNE_SCHEDULE", "on sundays", "not a cron expression that ever comes due"),
    ],
)
def test_how_long_a_kind_is_kept_must_make_sense(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str, told: str
) -> None:
    monkeypatch.setenv(f"MEDLOOP_{name}", value)

    with pytest.raises(SettingsError, match=f"MEDLOOP_{name}=.*{told}"):
        get_settings()


@pytest.mark.parametrize("schedule", ["none", "@weekly", "0 4 * * 0"])
def test_prune_has_a_clock_or_none(schedule: str) -> None:
    assert Settings(prune_schedule=schedule, keep_served_days=0).prune_schedule == schedule

"""What can be known of docker-compose.yml without a container engine."""

import configparser
import re
import shutil
import tomllib
from pathlib import Path

import pytest

from pipelines.scheduler import HEAVY_POOL
from pipelines.settings import Settings
from stack.catalog import all_parts
from stack.pools import ABOUT
from stack.supervision import Supervisor
from tests.containers.compose import (
    COMPOSE,
    OURS,
    ROOT,
    SERVICES,
    TEXT,
    dockerfile,
    interpolated,
)

SETTINGS = {f"MEDLOOP_{field.upper()}" for field in Settings.model_fields}
OF_THE_NATIVE_STACK = re.compile(
    r"MEDLOOP_(DATASETS|JARS|HOST|CLUSTER_HOST|(?!ALERT)\w+_PORT|DATANODES|HDFS_USER|SPARK|SPARK_\w+|WATCH_\w+|SERVICE_TLS_\w+"
    r"|SERVICE_CA|SERVICE_AUTH)"
)
"""What the compose file itself decides, or what means nothing in containers."""


def test_every_part_of_the_stack_is_there() -> None:
    assert set(SERVICES) >= {
        *("postgres", "namenode", "datanode", "spark-master", "spark-worker", "mlflow"),
        *("airflow-api-server", "airflow-scheduler", "airflow-dag-processor"),
        *("airflow-triggerer", "service"),
    }


@pytest.mark.parametrize("name", [name for name in OURS if "command" in OURS[name]])
def test_our_parts_run_a_program_that_the_environment_has(name: str) -> None:
    program = OURS[name]["command"][0]

    assert program == "bash" or shutil.which(program, path=str(ROOT / ".venv" / "bin")), program


@pytest.mark.parametrize("name", OURS)
def test_our_parts_set_only_settings_that_exist(name: str) -> None:
    variables = {v for v in OURS[name].get("environment", {}) if v.startswith("MEDLOOP_")}

    assert variables <= SETTINGS


def test_every_setting_that_means_something_in_containers_reaches_them() -> None:
    given = set(COMPOSE["x-medloop"]["environment"])

    assert {s for s in SETTINGS if not OF_THE_NATIVE_STACK.fullmatch(s)} <= given


@pytest.mark.parametrize("name", SERVICES)
def test_images_are_pinned_and_ports_stay_on_loopback(name: str) -> None:
    assert re.search(r":\d+\.\d+", SERVICES[name]["image"])
    for port in SERVICES[name].get("ports", []):
        assert port.startswith("127.0.0.1:")


def test_the_spark_image_has_the_release_of_the_workers_pyspark() -> None:
    lock = tomllib.loads((ROOT / "uv.lock").read_text("utf-8"))
    (release,) = [p["version"] for p in lock["package"] if p["name"] == "pyspark"]

    assert SERVICES["spark-master"]["image"] == f"apache/spark:{release}"


@pytest.mark.parametrize("name", SERVICES)
def test_what_a_part_waits_for_exists_and_can_be_seen_to_be_ready(name: str) -> None:
    for other, wait in SERVICES[name].get("depends_on", {}).items():
        assert other in SERVICES
        if wait["condition"] == "service_healthy":
            assert "healthcheck" in SERVICES[other] or "HEALTHCHECK" in dockerfile(other)


@pytest.mark.parametrize("name", SERVICES)
def test_a_part_that_stays_up_can_be_seen_to_be_well(name: str) -> None:
    ends = SERVICES[name]["restart"] == "no"

    assert ends or "healthcheck" in SERVICES[name] or "HEALTHCHECK" in dockerfile(name)


@pytest.mark.parametrize("name", SERVICES)
def test_a_part_has_a_bound_on_its_memory(name: str) -> None:
    limit = SERVICES[name]["deploy"]["resources"]["limits"]["memory"]

    assert re.fullmatch(r"\d+[mg]", limit)


@pytest.mark.parametrize("name", OURS)
def test_our_parts_have_no_rights_they_do_not_need(name: str) -> None:
    assert OURS[name]["cap_drop"] == ["ALL"]
    assert OURS[name]["security_opt"] == ["no-new-privileges:true"]
    assert "user" not in OURS[name]  # the images' own, which is not root


def test_only_what_ends_at_once_runs_as_root() -> None:
    assert [n for n in SERVICES if SERVICES[n].get("user") == "root"] == ["hdfs-volumes"]
    assert SERVICES["hdfs-volumes"]["restart"] == "no"


def test_the_pool_of_heavy_tasks_is_made_as_the_native_stack_makes_it() -> None:
    script = SERVICES["airflow-migrate"]["command"][-1]

    assert f"airflow pools set {HEAVY_POOL} 1 '{ABOUT}'" in script


def seconds(duration: str) -> float:
    """A duration as Compose reads it: numbers with units, which add up."""
    parts = re.findall(r"(\d+)(ms|s|m)", duration)
    assert "".join(number + unit for number, unit in parts) == duration
    return sum(int(number) * {"ms": 0.001, "s": 1, "m": 60}[unit] for number, unit in parts)


def test_a_container_is_given_as_long_to_stop_as_the_same_part_of_the_native_stack(
    tmp_path: Path,
) -> None:
    settings = Settings(home=tmp_path, spark="standalone")
    native = {
        process.name.removesuffix("-0"): process.stop_seconds
        for part in all_parts(settings)
        for process in part.processes
    }
    both = native.keys() & SERVICES.keys()
    assert both >= {"postgres", "namenode", "datanode", "mlflow", "airflow-scheduler", "service"}

    for name in both - {"spark-master", "spark-worker"}:
        assert seconds(SERVICES[name]["stop_grace_period"]) >= native[name], name


@pytest.mark.parametrize("stop", [30, 90])
def test_nothing_kills_the_service_before_the_time_it_promises_to_stop_in(
    stop: int, tmp_path: Path
) -> None:
    settings = Settings(home=tmp_path, service_stop_seconds=stop)
    supervisor = Supervisor(
        settings, [process for part in all_parts(settings) for process in part.processes]
    )
    supervisor._write_configuration()
    written = configparser.RawConfigParser()
    written.read(settings.home / "supervisor" / "supervisord.conf")
    service = interpolated(MEDLOOP_SERVICE_STOP_SECONDS=str(stop))["services"]["service"]

    assert settings.service_kill_seconds > stop
    assert written.getint("program:service", "stopwaitsecs") == settings.service_kill_seconds
    assert seconds(service["stop_grace_period"]) == settings.service_kill_seconds
    with_second_port = settings.model_copy(update={"classic_port": 5050})
    assert with_second_port.service_kill_seconds == settings.service_kill_seconds + stop


@pytest.mark.parametrize("name", SERVICES)
def test_what_is_kept_is_kept_in_a_volume_with_a_name(name: str) -> None:
    for volume in SERVICES[name].get("volumes", []):
        source = volume.partition(":")[0]
        assert source in COMPOSE["volumes"] or source == "./landing"


def test_no_secret_has_a_value_or_a_default() -> None:
    used = re.findall(r"\$\{([A-Z_]*(?:PASSWORD|SECRET|KEY))(.*?)\}", TEXT)
    example = dict(
        line.split("=", 1)
        for line in (ROOT / ".env.example").read_text("utf-8").splitlines()
        if "=" in line and not line.startswith("#")
    )

    assert used
    for name, rest in used:
        assert rest.startswith(":?"), f"{name} must be required"
        assert example[name] == ""

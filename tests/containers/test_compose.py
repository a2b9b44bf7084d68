"""What can be known of docker-compose.yml without a container engine."""

import configparser
import re
from pathlib import Path

import pytest

from pipelines.jobs.figures import figures_file
from pipelines.settings import Settings
from stack.catalog import all_parts
from stack.part import Process
from stack.supervision import Supervisor
from tests.containers.compose import (
    COMPOSE,
    OURS,
    ROOT,
    SERVICES,
    TEXT,
    interpolated,
)

SETTINGS = {f"MEDLOOP_{field.upper()}" for field in Settings.model_fields}
OF_THE_NATIVE_STACK = re.compile(
    r"MEDLOOP_(HOME|DATASETS|JARS|HOST|CLUSTER_HOST|(?!ALERT)\w+_PORT|DATANODES|HDFS_USER|SPARK|SPARK_\w+|WATCH_\w+|SERVICE_TLS_\w+"
    r"|SERVICE_CA|SERVICE_AUTH)"
)
"""What the compose file itself decides, or what means nothing in containers."""


def native(settings: Settings) -> dict[str, Process]:
    """The processes of the native stack, by the names of their containers."""
    return {
        process.name.removesuffix("-0"): process
        for part in all_parts(settings)
        for process in part.processes
    }


def test_every_process_of_the_native_stack_has_a_container(tmp_path: Path) -> None:
    assert set(SERVICES) == set(native(Settings(home=tmp_path, spark="standalone")))


@pytest.mark.parametrize("name", OURS)
def test_our_containers_run_one_image_and_the_stack_s_own_command(name: str) -> None:
    assert SERVICES[name]["image"] == "medloop:0.1.0"
    assert SERVICES[name]["command"] == ["python", "-m", "stack.container", name]
    assert SERVICES[name]["hostname"] == name


def test_one_container_builds_the_image_and_passes_the_commit() -> None:
    (build,) = [part["build"] for part in SERVICES.values() if "build" in part]

    assert build["context"] == "."
    assert "GIT_COMMIT" in build["args"]
    assert "ARG GIT_COMMIT" in (ROOT / "Dockerfile").read_text("utf-8")


def test_the_queue_which_listens_nowhere_is_known_by_the_metrics_that_it_writes() -> None:
    file = figures_file(Settings(home=Path("/var/lib/medloop")))

    assert str(file) in SERVICES["queue"]["healthcheck"]["test"][-1]


@pytest.mark.parametrize("name", sorted(set(OURS) - {"queue"}))
def test_a_health_check_asks_a_name_at_which_the_server_listens(name: str) -> None:
    check = " ".join(SERVICES[name]["healthcheck"]["test"])

    assert not re.search(r"localhost|127\.0\.0\.1", check)
    assert re.search(rf"http://({name}|namenode|airflow-api-server):", check)


def test_postgresql_is_healthy_only_once_it_listens_on_the_network() -> None:
    assert SERVICES["postgres"]["healthcheck"]["test"] == [
        *("CMD", "pg_isready", "--host", "127.0.0.1"),
    ]


def test_tasks_wait_for_a_datanode_that_can_be_written_to() -> None:
    assert "datanode" in SERVICES["airflow-scheduler"]["depends_on"]
    check = SERVICES["datanode"]["healthcheck"]["test"][-1]
    assert '"NumLiveDataNodes" : [1-9]' in check
    assert '"FSState" : "Operational"' in check


@pytest.mark.parametrize("name", OURS)
def test_a_container_that_may_read_secrets_has_their_folder(name: str) -> None:
    targets = {volume.split(":")[1]: volume for volume in SERVICES[name]["volumes"]}

    if name not in ("namenode", "datanode"):
        assert targets["/run/secrets"] == "./secrets:/run/secrets:ro"
        assert "state:/var/lib/medloop" in SERVICES[name]["volumes"]


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


@pytest.mark.parametrize("name", SERVICES)
def test_what_a_part_waits_for_exists_and_can_be_seen_to_be_ready(name: str) -> None:
    for other, wait in SERVICES[name].get("depends_on", {}).items():
        assert other in SERVICES
        if wait["condition"] == "service_healthy":
            assert "healthcheck" in SERVICES[other]


@pytest.mark.parametrize("name", SERVICES)
def test_a_part_is_restarted_and_can_be_seen_to_be_well(name: str) -> None:
    assert SERVICES[name]["restart"] == "unless-stopped"
    assert "healthcheck" in SERVICES[name]


@pytest.mark.parametrize("name", SERVICES)
def test_a_part_has_a_bound_on_its_memory(name: str) -> None:
    limit = SERVICES[name]["deploy"]["resources"]["limits"]["memory"]

    assert re.fullmatch(r"\d+[mg]", limit)


@pytest.mark.parametrize("name", OURS)
def test_our_parts_have_no_rights_they_do_not_need(name: str) -> None:
    assert OURS[name]["cap_drop"] == ["ALL"]
    assert OURS[name]["security_opt"] == ["no-new-privileges:true"]
    assert "user" not in OURS[name]  # the images' own, which is not root


def test_nothing_runs_as_root() -> None:
    assert {n: SERVICES[n]["user"] for n in SERVICES if "user" in SERVICES[n]} == {
        "postgres": "postgres"
    }


def seconds(duration: str) -> float:
    """A duration as Compose reads it: numbers with units, which add up."""
    parts = re.findall(r"(\d+)(ms|s|m)", duration)
    assert "".join(number + unit for number, unit in parts) == duration
    return sum(int(number) * {"ms": 0.001, "s": 1, "m": 60}[unit] for number, unit in parts)


def test_a_container_is_given_as_long_to_stop_as_the_same_part_of_the_native_stack(
    tmp_path: Path,
) -> None:
    for name, process in native(Settings(home=tmp_path, spark="standalone")).items():
        assert seconds(SERVICES[name]["stop_grace_period"]) >= process.stop_seconds, name


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
        assert source in COMPOSE["volumes"] or source in ("./landing", "./secrets")


def test_no_secret_has_a_value_or_a_default() -> None:
    used = re.findall(r"\$\{([A-Z_]*(?:PASSWORD|SECRET|KEY))\b(.*?)\}", TEXT)
    example = dict(
        line.split("=", 1)
        for line in (ROOT / ".env.example").read_text("utf-8").splitlines()
        if "=" in line and not line.startswith("#")
    )

    assert used
    for name, rest in used:
        assert rest.startswith(":?"), f"{name} must be required"
        assert example[name] == ""

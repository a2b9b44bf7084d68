"""What can be known of docker-compose.yml without a container engine."""

import re
import shutil
from pathlib import Path
from typing import Any

import pytest
import yaml

from pipelines.settings import Settings

ROOT = Path(__file__).resolve().parent.parent
COMPOSE: dict[str, Any] = yaml.safe_load((ROOT / "docker-compose.yml").read_text("utf-8"))
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
OURS = {name: part for name, part in SERVICES.items() if part["image"].startswith("medloop:")}


def test_every_part_of_the_stack_is_there() -> None:
    assert set(SERVICES) >= {
        *("postgres", "namenode", "datanode", "spark-master", "spark-worker", "mlflow"),
        *("airflow-api-server", "airflow-scheduler", "airflow-dag-processor"),
        *("airflow-triggerer", "service"),
    }


@pytest.mark.parametrize("name", OURS)
def test_our_parts_run_a_program_that_the_environment_has(name: str) -> None:
    program = OURS[name]["command"][0]

    assert shutil.which(program, path=str(ROOT / ".venv" / "bin")), program


@pytest.mark.parametrize("name", OURS)
def test_our_parts_set_only_settings_that_exist(name: str) -> None:
    variables = {v for v in OURS[name].get("environment", {}) if v.startswith("MEDLOOP_")}

    assert variables <= {f"MEDLOOP_{field.upper()}" for field in Settings.model_fields}


@pytest.mark.parametrize("name", SERVICES)
def test_images_are_pinned_and_ports_stay_on_loopback(name: str) -> None:
    assert re.search(r":\d+\.\d+", SERVICES[name]["image"])
    for port in SERVICES[name].get("ports", []):
        assert port.startswith("127.0.0.1:")


@pytest.mark.parametrize("name", SERVICES)
def test_what_a_part_waits_for_exists_and_can_be_seen_to_be_ready(name: str) -> None:
    waits = SERVICES[name].get("depends_on", {})
    for other in waits:
        assert other in SERVICES
        if isinstance(waits, dict) and waits[other]["condition"] == "service_healthy":
            assert "healthcheck" in SERVICES[other] or "HEALTHCHECK" in _dockerfile(other)


def _dockerfile(name: str) -> str:
    build = SERVICES[name].get("build", {})
    return (ROOT / build["dockerfile"]).read_text("utf-8") if isinstance(build, dict) else ""


def test_no_secret_has_a_value_or_a_default() -> None:
    text = (ROOT / "docker-compose.yml").read_text("utf-8")
    used = re.findall(r"\$\{([A-Z_]*(?:PASSWORD|SECRET|KEY))(.*?)\}", text)
    example = dict(
        line.split("=", 1)
        for line in (ROOT / ".env.example").read_text("utf-8").splitlines()
        if "=" in line and not line.startswith("#")
    )

    assert used
    for name, rest in used:
        assert rest.startswith(":?"), f"{name} must be required"
        assert example[name] == ""

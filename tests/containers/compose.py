"""docker-compose.yml as the tests read it: with the secrets of a test filled in."""

import re
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).resolve().parents[2]
TEXT = (ROOT / "docker-compose.yml").read_text("utf-8")
SECRETS = {"POSTGRES_PASSWORD": "of-a-test"}


def interpolated(**variables: str) -> dict[str, Any]:
    """The whole file, as Compose reads it with these secrets and variables and no others."""

    def value(found: re.Match[str]) -> str:
        default = found[2].removeprefix(":-") if found[2].startswith(":-") else ""
        return (SECRETS | variables).get(found[1], default)

    content: dict[str, Any] = yaml.safe_load(re.sub(r"\$\{(\w+)([^}]*)\}", value, TEXT))
    return content


COMPOSE = interpolated()
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
OURS = {name: part for name, part in SERVICES.items() if part["image"].startswith("medloop")}

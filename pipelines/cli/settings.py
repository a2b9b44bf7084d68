"""``medloop settings``: what this installation is set to, where from, and what else there is."""

import os
import textwrap

import typer
from pydantic import SecretStr
from pydantic.fields import FieldInfo

from pipelines.cli.console import console, table
from pipelines.redaction import without_credentials
from pipelines.retention_settings import RetentionSettings
from pipelines.settings import PROJECT, Settings, get_settings

app = typer.Typer()

FOR_CONTAINERS = """\
# Copy this file to .env (git-ignored) and change what you want otherwise. Both `medloop` and
# `docker compose` read it; the environment goes before it. Made by: medloop settings --example

# The one secret that `docker compose up` needs; it has no default. One way to make it:
#   openssl rand -hex 24
POSTGRES_PASSWORD=

# For containers: the folder with one folder of new images per data set, and the folder of files
# that the settings …_FILE name as /run/secrets/NAME. Both are read-only in them.
MEDLOOP_LANDING=./landing
MEDLOOP_SECRETS=./secrets
"""


@app.command()
def settings(
    example: bool = typer.Option(False, "--example", help="Print a .env with every setting in it."),
) -> None:
    """Every setting of this installation: its value, and whether that is the default.

    Each is an environment variable, or a line of the file `.env` in the project's folder
    (`MEDLOOP_ENV_FILE` names another file; `none` reads none).
    """
    if example:
        typer.echo(example_file(), nl=False)
        return
    rows = table("Settings", "variable", "value", "", "what it is")
    current = get_settings()
    for name, field in _fields():
        value = getattr(current, name)
        rows.add_row(variable(name), _shown(value), _origin(name, current), _about(field))
    console.print(rows)


def variable(field: str) -> str:
    """The environment variable of a field of `Settings`."""
    return f"MEDLOOP_{field.upper()}"


def example_file() -> str:
    """The text of ``.env.example``: the containers' secrets, then each setting with its default."""
    parts = [FOR_CONTAINERS]
    for name, field in _fields():
        about = textwrap.fill(_about(field), width=98, initial_indent="# ", subsequent_indent="# ")
        parts.append(f"{about}\n# {variable(name)}={_default(field)}\n")
    return "\n".join(parts)


def _fields() -> list[tuple[str, FieldInfo]]:
    """Every setting; where things are and how they are reached first, what is kept last."""
    fields = Settings.model_fields.items()
    return sorted(fields, key=lambda one: one[0] in RetentionSettings.model_fields)


def _about(field: FieldInfo) -> str:
    return " ".join((field.description or "").replace("``", "").split())


def _default(field: FieldInfo) -> str:
    default = field.get_default(call_default_factory=True)
    return "" if default is None else str(default).replace(f"{PROJECT}/", "")


def _shown(value: object) -> str:
    if isinstance(value, SecretStr):
        return "(secret)"
    return "" if value is None else without_credentials(str(value))


def _origin(name: str, current: Settings) -> str:
    if variable(name) in os.environ:
        return "environment"
    return ".env" if name in current.model_fields_set else "default"

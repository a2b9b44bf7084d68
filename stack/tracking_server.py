"""The MLflow server: runs and models in PostgreSQL, artifacts through the server itself."""

from importlib.metadata import version
from pathlib import Path

from pipelines import database
from pipelines.errors import StackError
from pipelines.settings import PROJECT, Settings
from stack import tables, tracking_login
from stack.ask import http_obstacle
from stack.environment import command
from stack.part import Part, Port, Process, Say

DATABASE = "mlflow"
SERVER_ENV = PROJECT / "mlflow" / "server.env"
"""What the server finds in its environment; the container reads the same file."""


def part(settings: Settings) -> Part:
    """The tracking server."""
    return Part(
        name="mlflow",
        needs=["postgres"],
        prepare=lambda say: _prepare(settings, say),
        processes=[_server(settings)],
    )


def _server(settings: Settings) -> Process:
    guard = tracking_login.guard(settings)
    return Process(
        name="mlflow",
        command=[
            *(command("mlflow"), *guard.command, "server"),
            *("--host", settings.host, "--port", str(settings.mlflow_port)),
            *("--backend-store-uri", database.url(settings, DATABASE)),
            *("--artifacts-destination", _artifacts(settings).as_uri(), "--workers", "1"),
            *guard.server,
        ],
        environment={**read_env(SERVER_ENV), **guard.environment},
        ports=[Port(settings.mlflow_port, "MEDLOOP_MLFLOW_PORT")],
        version=lambda: version("mlflow"),
        url=settings.mlflow_address,
        obstacle=lambda _: http_obstacle(f"{settings.mlflow_address}/health"),
    )


def _prepare(settings: Settings, say: Say) -> None:
    _artifacts(settings).mkdir(parents=True, exist_ok=True)
    release = f"mlflow {version('mlflow')}"
    if database.query(settings, "SELECT to_regclass('alembic_version')", database=DATABASE):
        tables.bring_up_to_date(
            settings,
            DATABASE,
            release=release,
            migration=[command("mlflow"), "db", "upgrade", database.url(settings, DATABASE)],
            environment=read_env(SERVER_ENV),
            say=say,
        )
    else:  # the server makes its tables itself, but does not change older ones
        database.note_release(settings, DATABASE, release)
    if tracking_login.is_guarded(settings):
        tracking_login.prepare(settings, users=database.url(settings, DATABASE))


def _artifacts(settings: Settings) -> Path:
    return settings.home / "mlflow" / "artifacts"


def read_env(path: Path) -> dict[str, str]:
    """The ``NAME=value`` lines of a file, without comments.

    Raises:
        StackError: a line is neither.
    """
    variables = {}
    for line in path.read_text("utf-8").splitlines():
        if not line.strip() or line.startswith("#"):
            continue
        name, sign, value = line.partition("=")
        if not sign or not name.isidentifier():
            raise StackError(f"{path}: {line!r} is not NAME=value.")
        variables[name] = value
    return variables

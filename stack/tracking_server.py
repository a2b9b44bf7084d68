"""The MLflow server: runs and models in PostgreSQL, artifacts through the server itself."""

from importlib.metadata import version
from pathlib import Path

from pipelines import database
from pipelines.errors import StackError
from pipelines.settings import PROJECT, Settings
from stack.ask import http_obstacle
from stack.environment import command
from stack.part import Part, Port, Process

SERVER_ENV = PROJECT / "mlflow" / "server.env"
"""What the server finds in its environment; the container reads the same file."""


def part(settings: Settings) -> Part:
    """The tracking server."""
    address = f"http://{settings.host}:{settings.mlflow_port}"
    artifacts = settings.home / "mlflow" / "artifacts"
    return Part(
        name="mlflow",
        needs=["postgres"],
        prepare=lambda _: artifacts.mkdir(parents=True, exist_ok=True),
        processes=[
            Process(
                name="mlflow",
                command=[
                    *(command("mlflow"), "server"),
                    *("--host", settings.host, "--port", str(settings.mlflow_port)),
                    *("--backend-store-uri", database.url(settings, "mlflow")),
                    *("--artifacts-destination", artifacts.as_uri(), "--workers", "1"),
                ],
                environment=read_env(SERVER_ENV),
                ports=[Port(settings.mlflow_port, "MEDLOOP_MLFLOW_PORT")],
                version=lambda: version("mlflow"),
                url=address,
                obstacle=lambda _: http_obstacle(f"{address}/health"),
            )
        ],
    )


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

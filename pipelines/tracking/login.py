"""Our commands' login to MLflow, read from a private file each time a process begins to ask."""

import json
import os
from pathlib import Path

from pydantic import BaseModel, ValidationError

from pipelines.errors import SettingsError
from pipelines.settings import Settings


class Login(BaseModel):
    """A user of MLflow."""

    username: str
    password: str


def own_login_file(settings: Settings) -> Path:
    """Where the embedded server's login is kept; there only once it has asked for one."""
    return settings.home / "mlflow" / "login.json"


def login_file(settings: Settings) -> Path:
    """The file that our commands log in with."""
    return settings.mlflow_login_file or own_login_file(settings)


def log_in(file: Path) -> None:
    """Let MLflow's client in this process use the login of a file; without a file, none.

    MLflow's client reads it from the environment, and at every request. It is changed in this
    process only: what other users can see of a process is how it was started.

    Raises:
        SettingsError: the file holds no login.
    """
    if not file.is_file():
        return
    try:
        login = Login.model_validate(json.loads(file.read_text("utf-8")))
    except (ValidationError, ValueError) as error:
        raise SettingsError(
            f'{file} is no login to MLflow; expected {{"username": …, "password": …}}.'
        ) from error
    os.environ["MLFLOW_TRACKING_USERNAME"] = login.username
    os.environ["MLFLOW_TRACKING_PASSWORD"] = login.password

"""The logins that the stack has made: where, as whom, and which file keeps the password."""

import json
from dataclasses import dataclass, field
from pathlib import Path

from pipelines.settings import Settings
from pipelines.tracking.login import own_login_file
from stack.scheduler_config import passwords_file
from stack.tracking_login import is_guarded


@dataclass(frozen=True)
class Login:
    """A user of one part."""

    part: str
    url: str
    user: str
    password: str = field(repr=False)
    file: Path
    """Where the password can be read again."""


def logins(settings: Settings) -> list[Login]:
    """Every login that has been made so far, and is asked for."""
    found = []
    passwords, mlflow = passwords_file(settings), own_login_file(settings)
    if passwords.is_file():
        users = json.loads(passwords.read_text("utf-8"))
        found += [
            Login("airflow", settings.airflow_address, user, password, passwords)
            for user, password in users.items()
        ]
    if mlflow.is_file() and is_guarded(settings):
        login = json.loads(mlflow.read_text("utf-8"))
        found.append(
            Login("mlflow", settings.mlflow_address, login["username"], login["password"], mlflow)
        )
    return found

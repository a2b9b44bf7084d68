"""A connection to a real MLflow."""

import secrets

import pytest

from pipelines.settings import Settings
from pipelines.tracking.client import Tracking, open_tracking


@pytest.fixture
def tracking(mlflow_server: Settings) -> Tracking:
    """A real MLflow server."""
    return open_tracking(mlflow_server)


@pytest.fixture
def name() -> str:
    """A name nobody else uses on the server."""
    return f"set_{secrets.token_hex(4)}"


@pytest.fixture
def experiment(tracking: Tracking, name: str) -> str:
    """An experiment of the test's own."""
    return tracking.experiment(name, title="A test")

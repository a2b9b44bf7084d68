"""The service's routes in this process, and the real service in its own."""

from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from starlette.testclient import TestClient

from pipelines.release.predictor import Predictor
from pipelines.settings import Settings
from serving.access.permissions import guard_of
from serving.app import build_app
from serving.champions import Champions
from serving.executor import InferenceExecutor
from serving.image_request import Backend
from serving.metrics import count_answer
from serving.uploads import Limits
from tests.serving.bundles import make_bundle
from tests.serving.running import running_service

HERE = "http://127.0.0.1"


@pytest.fixture
def champions() -> Champions:
    """No champion yet."""
    return Champions()


@pytest.fixture
def backend(champions: Champions) -> Iterator[Backend]:
    """What the routes work with: ``champions``, and small limits."""
    executor = InferenceExecutor(2)
    limits = Limits(body_bytes=200_000, images=3, read_seconds=0.5)
    yield Backend(champions, executor, limits, observers=(count_answer,))
    executor.close()


@pytest.fixture
def client(backend: Backend, tmp_path: Path) -> Iterator[TestClient]:
    """The application as it is on loopback, where no tokens are asked for."""
    app = build_app(guard_of(Settings(home=tmp_path), tokens=False), backend)
    with TestClient(app, base_url=HERE, raise_server_exceptions=False) as client:
        yield client


@pytest.fixture
def serving_client(client: TestClient, champions: Champions, predictor: Predictor) -> TestClient:
    """The same with a champion."""
    champions.take(predictor)
    return client


@pytest.fixture(scope="session")
def decided(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A bundle that is sure of most images, some with a finding and some without."""
    return make_bundle(tmp_path_factory.mktemp("bundles") / "phantom-1", seed=3)


@pytest.fixture(scope="session")
def http(decided: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx.Client]:
    """A running service that answers for one data set. Files share it; a start takes seconds."""
    with running_service(tmp_path_factory.mktemp("service"), "--bundle", str(decided)) as client:
        yield client

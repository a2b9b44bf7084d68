"""The service's routes in this process, and the real service in its own."""

from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from starlette.testclient import TestClient

from pipelines.release.predictor import Predictor
from serving.app import build_app
from serving.champions import Champions
from serving.counters import count_answer
from serving.desk import Desk
from serving.endpoints import Backend
from serving.limits import Limits
from tests.serving.bundles import make_bundle
from tests.serving.running import running_service


@pytest.fixture
def champions() -> Champions:
    """No champion yet."""
    return Champions()


@pytest.fixture
def client(champions: Champions) -> Iterator[TestClient]:
    """The service's routes over ``champions``, with small limits."""
    desk = Desk(2)
    backend = Backend(
        champions,
        desk,
        Limits(body_bytes=200_000, images=3, read_seconds=0.5),
        observers=(count_answer,),
    )
    with TestClient(build_app(backend), raise_server_exceptions=False) as client:
        yield client
    desk.close()


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

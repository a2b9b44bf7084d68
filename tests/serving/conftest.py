"""A loaded bundle behind the service's routes, in this process."""

from collections.abc import Iterator

import pytest
from starlette.testclient import TestClient

from pipelines.release.predictor import Predictor
from serving.app import build_app
from serving.champions import Champions
from serving.counters import count_answer
from serving.desk import Desk
from serving.endpoints import Backend
from serving.limits import Limits


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

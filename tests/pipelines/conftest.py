"""Parts that several tests of the pipelines share."""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from pipelines.settings import Settings
from pipelines.spark.class_archive import archive_for
from pipelines.spark.session import require_java, spark_session
from pipelines.storage import Store, open_store
from tests.pipelines.forks import Forks
from tests.pipelines.storage.s3_server import S3Server

if TYPE_CHECKING:
    from pyspark.sql import SparkSession


@pytest.fixture(scope="session")
def spark(tmp_path_factory: pytest.TempPathFactory) -> Iterator["SparkSession"]:
    """One Spark session for all tests: the stages use the one that runs."""
    home = tmp_path_factory.mktemp("spark")
    settings = Settings(home=home, store=home.as_uri(), spark="local[2,4]")
    # The first one on a machine leaves the archive of its classes; the tests use one that found it.
    if not archive_for(settings, java_version=require_java()).is_there:
        with spark_session(settings, name="first"):
            pass
    with spark_session(settings, name="tests") as session:
        yield session


@pytest.fixture(scope="session")
def forks() -> Iterator[Forks]:
    """Starts trainings in processes of their own."""
    started = Forks()
    yield started
    started.close()


@pytest.fixture(params=["local", "hdfs", "s3"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Store:
    """A store on a folder, one in a real HDFS, one in a real S3 server."""
    if request.param == "local":
        local: Store = request.getfixturevalue("local_store")
        return local
    if request.param == "s3":
        server: S3Server = request.getfixturevalue("s3")
        return open_store(server.settings(tmp_path.name))
    settings: Settings = request.getfixturevalue("hdfs")
    return open_store(
        settings.model_copy(update={"store": f"{settings.store_root}/{tmp_path.name}"})
    )

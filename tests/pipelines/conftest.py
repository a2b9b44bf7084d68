"""Parts that several tests of the pipelines share."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

from pipelines.data.spark import spark_session
from pipelines.settings import Settings

if TYPE_CHECKING:
    from pyspark.sql import SparkSession


@pytest.fixture(scope="session")
def spark(tmp_path_factory: pytest.TempPathFactory) -> Iterator["SparkSession"]:
    """One Spark session for all tests: the stages use the one that runs."""
    home = tmp_path_factory.mktemp("spark")
    settings = Settings(home=home, store=home.as_uri(), spark_master="local[2,4]")
    with spark_session(settings, name="tests") as session:
        yield session

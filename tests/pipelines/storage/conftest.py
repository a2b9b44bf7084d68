"""A store of either kind."""

from pathlib import Path

import pytest

from pipelines.settings import Settings
from pipelines.storage import Store
from pipelines.storage.hdfs import HdfsStore


@pytest.fixture(params=["local", "hdfs"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Store:
    if request.param == "local":
        local: Store = request.getfixturevalue("local_store")
        return local
    settings: Settings = request.getfixturevalue("hdfs")
    root = f"{settings.store_root}/{tmp_path.name}"
    return HdfsStore(root, webhdfs=settings.webhdfs, user=settings.hdfs_user)

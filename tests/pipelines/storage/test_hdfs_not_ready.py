"""What a NameNode answers while it cannot serve is no answer to whether a file is there."""

from collections.abc import Iterator

import pytest

from pipelines.errors import NotFound, StoreUnavailable
from pipelines.storage.hdfs import HdfsStore
from tests.pipelines.storage.refusing_namenode import NameNode, refusing_namenode

NOT_READY = [
    ("RetriableException", "Namenode is in startup mode"),
    ("StandbyException", "Operation category READ is not supported in state standby"),
    ("SafeModeException", "Cannot create file. Name node is in safe mode."),
    ("IOException", "Failed to find datanode, suggest to check cluster health."),
]
"""As real ones were heard to say them."""


@pytest.fixture
def namenode() -> Iterator[NameNode]:
    with refusing_namenode() as server:
        yield server


@pytest.fixture
def store(namenode: NameNode) -> HdfsStore:
    return HdfsStore("hdfs:///medloop", webhdfs=namenode.url, user="medloop")


@pytest.mark.parametrize(("exception", "message"), NOT_READY)
def test_one_that_is_not_ready_is_told_as_what_can_heal(
    namenode: NameNode, store: HdfsStore, exception: str, message: str
) -> None:
    namenode.exception, namenode.message = exception, message

    for ask in (store.exists, store.names, store.size, store.open):
        with pytest.raises(StoreUnavailable, match="is not ready"):
            ask("a")


def test_a_namenode_that_is_standby_or_away_is_passed_over(
    namenode: NameNode, store: HdfsStore
) -> None:
    namenode.exception, namenode.message = NOT_READY[1]
    with refusing_namenode() as active:
        several = f"http://127.0.0.1:9;{store.webhdfs};{active.url}"
        assert not HdfsStore("hdfs:///medloop", webhdfs=several, user="medloop").exists("a")


def test_only_a_file_that_it_does_not_know_is_missing(store: HdfsStore) -> None:
    assert not store.exists("a")
    assert store.names("a") == []
    with pytest.raises(NotFound):
        store.open("a")

"""Another live process that commits the same path of a store as the code under test."""

import contextlib
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from pipelines.isolation import settings_environment
from pipelines.settings import PROJECT
from pipelines.storage import Store, renaming
from pipelines.storage.hdfs import HdfsStore
from pipelines.storage.object_store import ObjectStore

WRITES = """
import sys
from pipelines.settings import Settings
from pipelines.storage import open_store

store = open_store(Settings())
with store.commit(sys.argv[1]) as staging:
    store.write(f"{staging}/first", b"1")
    print("half", flush=True)
    sys.stdin.readline()
    store.write(f"{staging}/manifest.json", b"{}")
"""
WHOLE = ["first", "manifest.json"]


class Rival:
    """A process that has written half of the folder ``path``, and waits."""

    def __init__(self, store: Store, path: str) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-c", WRITES, path],
            env=os.environ | settings_environment(_reaching(store)),
            cwd=PROJECT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        assert self.process.stdout is not None
        assert self.process.stdout.readline() == b"half\n"

    def finish(self) -> None:
        """Let it write the other half and commit."""
        assert self.process.stdin is not None
        self.process.communicate(b"\n")
        assert self.process.returncode == 0

    def kill(self) -> None:
        """End it where it is."""
        self.process.kill()
        self.process.communicate()


def _reaching(store: Store) -> dict[str, object]:
    """The settings by which another process reaches a store."""
    if isinstance(store, HdfsStore):
        return {"store": store.root, "webhdfs_url": store.webhdfs, "hdfs_user": store.user}
    if isinstance(store, ObjectStore):
        return {"store": store.root, "store_endpoint": store.access.endpoint}
    return {"store": store.root}


@contextlib.contextmanager
def rivals_that_commit_first(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """Let a rival begin before each commit of this process, and end just before it.

    Yields:
        The paths that were committed.
    """
    paths: list[str] = []
    commit = renaming.RenamingStore.commit

    @contextlib.contextmanager
    def contested(store: renaming.RenamingStore, path: str) -> Iterator[str]:
        paths.append(path)
        rival = Rival(store, path)
        try:
            with commit(store, path) as staging:
                yield staging
                rival.finish()
        finally:
            rival.kill()

    with monkeypatch.context() as patch:
        patch.setattr(renaming.RenamingStore, "commit", contested)
        yield paths


def require_one_whole_output(store: Store, path: str) -> None:
    """Check that the rival's output is there, whole, and that nothing else is."""
    assert sorted(Path(name).name for name in store.walk(path)) == WHOLE, path
    assert store.hidden(path) == []
    assert store.hidden(path.rpartition("/")[0]) == []

"""Another live process that commits the same path of a store as the code under test."""

import contextlib
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from pipelines.settings import PROJECT
from pipelines.storage import Store, base
from pipelines.storage.hdfs import HdfsStore

WRITES = """
import sys
from pathlib import Path
from pipelines.storage.hdfs import HdfsStore
from pipelines.storage.local import LocalStore

root, webhdfs, user, path = sys.argv[1:]
if webhdfs:
    store = HdfsStore(root, webhdfs=webhdfs, user=user)
else:
    store = LocalStore(Path(root.removeprefix("file://")))
with store.commit(path) as staging:
    store.write(f"{staging}/first", b"1")
    print("half", flush=True)
    sys.stdin.readline()
    store.write(f"{staging}/manifest.json", b"{}")
"""
WHOLE = ["first", "manifest.json"]


class Rival:
    """A process that has written half of the folder ``path``, and waits."""

    def __init__(self, store: Store, path: str) -> None:
        webhdfs, user = (store.webhdfs, store.user) if isinstance(store, HdfsStore) else ("", "")
        self.process = subprocess.Popen(
            [sys.executable, "-c", WRITES, store.root, webhdfs, user, path],
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


@contextlib.contextmanager
def rivals_that_commit_first(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """Let a rival begin before each commit of this process, and end just before it.

    Yields:
        The paths that were committed.
    """
    paths: list[str] = []
    commit = base.Store.commit

    @contextlib.contextmanager
    def contested(store: Store, path: str) -> Iterator[str]:
        paths.append(path)
        rival = Rival(store, path)
        try:
            with commit(store, path) as staging:
                yield staging
                rival.finish()
        finally:
            rival.kill()

    with monkeypatch.context() as patch:
        patch.setattr(base.Store, "commit", contested)
        yield paths


def require_one_whole_output(store: Store, path: str) -> None:
    """Check that the rival's output is there, whole, and that nothing else is."""
    assert sorted(Path(name).name for name in store.walk(path)) == WHOLE, path
    assert store.hidden(path) == []
    assert store.hidden(path.rpartition("/")[0]) == []

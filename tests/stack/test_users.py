"""The stack belongs to whoever starts it: root or a plain user, with the same result."""

import os
import pwd
import shlex
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from pipelines.settings import PROJECT, Settings
from stack import jars

BRING_UP = """
import os, sys
from pathlib import Path
import stack
from pipelines.database import query
from pipelines.storage import open_store
from stack.testing import running_stack

with running_stack(["postgres", "hdfs", "service"], home=Path(sys.argv[1])) as settings:
    query(settings, "CREATE TABLE kept AS SELECT 42 AS answer")
    open_store(settings).write("kept/file.txt", b"still here")
    stack.restart(settings, "postgres")
    print("user", os.geteuid())
    print("ready", *(p.name for p in stack.status(settings) if p.state == "ready"))
    print("kept", query(settings, "SELECT answer FROM kept"))
    print("kept", open_store(settings).read("kept/file.txt"))
"""


@pytest.fixture
def home() -> Iterator[Path]:
    """A folder that a plain user reaches: pytest's own are closed to all but who runs it."""
    with tempfile.TemporaryDirectory(prefix="medloop-") as folder:
        yield Path(folder)


def as_plain_user(command: list[str], user: pwd.struct_passwd, scratch: Path) -> list[str]:
    """What runs a command as another user, in a view of the file system in which the folders
    above Python and the project are open: they may lie below ``/root``.
    """
    needed = {str(path) for path in (PROJECT, Path(sys.prefix), Path(sys.base_prefix))}
    closed = {
        str(folder)
        for path in needed
        for folder in Path(path).parents
        if not folder.stat().st_mode & 0o001
    }
    hidden = sorted(p for p in needed if any(Path(p).is_relative_to(c) for c in closed))
    steps = [
        *(f"mkdir -p {scratch}{path} && mount --bind {path} {scratch}{path}" for path in hidden),
        *(f"mount -t tmpfs -o mode=755 none {folder}" for folder in sorted(closed)),
        *(f"mkdir -p {path} && mount --bind {scratch}{path} {path}" for path in hidden),
        f"exec setpriv --reuid={user.pw_uid} --regid={user.pw_gid} --clear-groups "
        + shlex.join(command),
    ]
    return ["unshare", "--mount", "sh", "-ec", "\n".join(steps)]


def test_a_plain_user_runs_the_stack_in_a_home_of_his_own(home: Path, tmp_path: Path) -> None:
    jars.fetch(Settings(), jars.HDFS, print)
    command = [sys.executable, "-c", BRING_UP, str(home / "state")]
    user = pwd.getpwuid(os.geteuid())
    if os.geteuid() == 0:
        user = pwd.getpwnam("nobody")
        os.chown(home, user.pw_uid, user.pw_gid)
        command = as_plain_user(command, user, tmp_path)
    ended = subprocess.run(
        command,
        env=os.environ | {"HOME": str(home), "PYTHONDONTWRITEBYTECODE": "1"},
        cwd=PROJECT,
        capture_output=True,
        text=True,
        timeout=500,
        check=False,
    )
    assert ended.stdout.splitlines() == [
        f"user {user.pw_uid}",
        "ready postgres namenode datanode-0 service",
        "kept 42",
        "kept b'still here'",
    ], ended.stderr
    assert {path.stat().st_uid for path in home.rglob("*")} == {user.pw_uid}

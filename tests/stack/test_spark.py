"""A standalone cluster does the work of a real session, for those who know its secret."""

import os
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import stack
from pipelines.errors import StackError
from pipelines.settings import PROJECT, Settings
from pipelines.spark.cluster import cluster_options, standalone_file
from stack.environment import settings_environment
from stack.testing import running_stack
from tests.stack.killing import await_return, kill_part

JOB = """
import os
from pipelines.spark.session import spark_session
from pipelines.settings import get_settings

with spark_session(get_settings(), name="a test") as session:
    def work(n):
        import pipelines
        return n * n, os.getppid(), os.path.relpath(pipelines.__file__, os.getcwd())

    rows = session.sparkContext.parallelize(range(4), 4).map(work).collect()
    print("master", session.sparkContext.master)
    print("sum", sum(square for square, _, _ in rows))
    print("elsewhere", os.getpid() not in {parent for _, parent, _ in rows})
    print("code", *sorted({code for _, _, code in rows}))
"""


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Settings]:
    home = tmp_path_factory.mktemp("spark")
    with running_stack(["spark"], home=home, spark="standalone", spark_driver_memory="512m") as s:
        yield s


def work(settings: Settings) -> subprocess.CompletedProcess[str]:
    """Run the job as a task would: in a process of its own."""
    return subprocess.run(
        [sys.executable, "-c", JOB],
        env=os.environ | settings_environment(settings),
        cwd=PROJECT,
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )


def test_a_killed_master_returns_and_the_worker_does_what_a_session_asks(
    settings: Settings,
) -> None:
    await_return(settings, "spark-master", killed=kill_part(settings, "spark-master"))
    await_return(settings, "spark-worker", killed=0)
    done = work(settings)
    assert done.stdout.splitlines() == [
        f"master spark://{settings.host}:{settings.spark_port}",
        "sum 14",
        "elsewhere True",
        # not the checkout, which executors on other machines lack
        "code medloop-code/pipelines/__init__.py",
    ], done.stderr


def test_a_session_without_the_clusters_secret_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(StackError, match=r"cluster\.conf.*medloop stack up"):
        cluster_options(Settings(home=tmp_path, spark="standalone"))


def test_the_secret_is_in_one_private_file_and_no_command_or_log(settings: Settings) -> None:
    assert stat.S_IMODE(standalone_file(settings).stat().st_mode) == 0o600
    secret = standalone_file(settings).read_text().split("secret ")[1].split()[0]
    for part in stack.status(settings):
        if part.pid:
            assert secret not in Path(f"/proc/{part.pid}/cmdline").read_text()
    for log in (settings.home / "logs").glob("*.log"):
        assert secret not in log.read_text()

"""What status tells of a stack: read from supervisord's own words, and from the disk."""

import shutil
from pathlib import Path

import pytest

from pipelines.settings import Settings
from stack.room import rooms
from stack.status import status
from stack.supervision import Supervisor

SAID = """\
2026-11-20 09:00:00,000 INFO supervisord started with pid 100
2026-11-20 09:00:01,000 INFO spawned: 'mlflow' with pid 101
2026-11-20 09:05:00,000 WARN exited: mlflow (terminated by SIGKILL; not expected)
2026-11-21 09:00:00,000 INFO supervisord started with pid 200
2026-11-21 09:00:01,000 INFO spawned: 'mlflow' with pid 201
2026-11-21 09:05:00,000 WARN exited: mlflow (terminated by SIGKILL; not expected)
2026-11-21 09:05:01,000 INFO spawned: 'mlflow' with pid 202
2026-11-21 09:06:00,000 WARN exited: datanode-0 (exit status 1; not expected)
2026-11-21 09:07:00,000 INFO exited: mlflow (exit status 0; expected)
2026-11-21 09:08:00,000 INFO stopped: service (terminated by SIGTERM)
"""


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    """Of a stack that never ran; a NameNode at the usual port would be somebody else's."""
    return Settings(home=tmp_path / "home", webhdfs_url="http://127.0.0.1:9")


def test_ends_that_nobody_asked_for_are_counted_since_supervisord_began(settings: Settings) -> None:
    supervisor = Supervisor(settings, [])
    assert supervisor.restarts() == {}
    log = supervisor.log("supervisord")
    log.parent.mkdir(parents=True)
    log.write_text(SAID)
    assert supervisor.restarts() == {"mlflow": 2, "datanode-0": 1}


def test_the_disk_is_told_before_there_is_a_home(settings: Settings) -> None:
    (home,) = rooms(settings)
    assert (home.name, home.total) == ("home", shutil.disk_usage(settings.home.parent).total)
    assert 0 < home.free_share < 1


def test_a_stopped_stack_tells_its_versions_and_ports(settings: Settings) -> None:
    parts = {part.name: part for part in status(settings)}
    assert {part.state for part in parts.values()} == {"stopped"}
    assert all(part.version[0].isdigit() for part in parts.values())
    assert parts["datanode-0"].ports == (9864, 9866, 9867)
    assert {part.memory for part in parts.values()} == {None}
    assert {part.up_seconds for part in parts.values()} == {None}

import os
from dataclasses import replace
from pathlib import Path

import pytest

from pipelines.data.folders import FileState, LocalFolder
from pipelines.data.land import examinations
from pipelines.data.land.examinations import Examinations
from pipelines.data.land.examine import Examined
from pipelines.data.land.pseudonyms import Pseudonyms
from tests.pipelines.data.landing_folders import write

NAMES = Pseudonyms(b"k" * 32)
FOUND = Examined(sha256="ab", size=3, thumbnail=bytes(range(256)) * 4, notes=["one"], mean=1.5)


def key(memory: Examinations, path: Path) -> str | None:
    folder = LocalFolder(path.parent)
    file = folder.state(path.name)
    assert file
    return memory.key(folder.place, file)


@pytest.fixture(autouse=True)
def settled(monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> None:
    """Files of just now count as written long ago, but in the test of that."""
    if "may_still_change" not in request.node.name:
        monkeypatch.setattr(examinations, "SETTLED_SECONDS", 0)


@pytest.fixture
def memory(tmp_path: Path) -> Examinations:
    return Examinations(tmp_path / "memory.sqlite", NAMES, version="1")


def test_what_was_found_is_remembered_as_it_was(memory: Examinations, tmp_path: Path) -> None:
    of_a = str(key(memory, write(tmp_path / "a.png", b"abc")))
    memory.remember({of_a: FOUND})
    later = Examinations(tmp_path / "memory.sqlite", NAMES, version="1")
    assert later.known([of_a, "unknown"]) == {of_a: FOUND}


def test_many_files_are_remembered(memory: Examinations) -> None:
    keys = [f"key{n}" for n in range(1201)]
    memory.remember(dict.fromkeys(keys, FOUND))
    assert len(memory.known(keys)) == 1201


def test_a_changed_file_is_another(memory: Examinations, tmp_path: Path) -> None:
    path = write(tmp_path / "a.png", b"abc")
    keys = [key(memory, path)]
    keys.append(key(memory, write(path, b"abcd")))
    os.utime(path, (1000, 1000))
    keys.append(key(memory, path))
    keys.append(key(memory, write(tmp_path / "b.png", b"abc")))
    other = Examinations(tmp_path / "memory.sqlite", NAMES, version="2")
    keys.append(key(other, path))
    assert len(set(keys)) == 5


def test_a_file_that_may_still_change_is_not_remembered(
    memory: Examinations, tmp_path: Path
) -> None:
    (tmp_path / "new.png").write_bytes(b"abc")
    assert key(memory, tmp_path / "new.png") is None
    assert memory.key("/landing", FileState("broken-link.png", 0, 0, 0.0)) is None
    copied = write(tmp_path / "copied.png", b"abc")
    assert key(memory, copied) is None, "its own time is old, but it has just come"


def test_a_file_is_not_remembered_where_its_replacement_could_not_be_told(
    memory: Examinations,
) -> None:
    of_hdfs = FileState("a.png", 3, 10**18, 1e9, identity="16387")
    assert memory.key("hdfs:///landing", of_hdfs)
    assert memory.key("hdfs:///landing", of_hdfs) != memory.key(
        "hdfs:///landing", replace(of_hdfs, identity="16388")
    )
    assert memory.key("/mnt/share", replace(of_hdfs, identity="")) is None


def test_no_file_name_stands_in_the_memory(memory: Examinations, tmp_path: Path) -> None:
    of_jane = str(key(memory, write(tmp_path / "Doe_Jane.png", b"abc")))
    memory.remember({of_jane: FOUND})
    assert b"Doe" not in (tmp_path / "memory.sqlite").read_bytes()

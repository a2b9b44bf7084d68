import os
from pathlib import Path
from typing import Any

import pytest

from pipelines.data.folders import LocalFolder
from pipelines.data.land.originals import printable
from tests.pipelines.data.landing_folders import write


def found(folder: Path, **options: Any) -> list[str]:
    return [file.path for file in LocalFolder(folder).files(**options)]


def test_every_file_is_found_in_order_whatever_its_name(tmp_path: Path) -> None:
    names = ["b/2.png", "a/ü ö/日本 1.png", "a/with space.png", "top.png"]
    for name in names:
        write(tmp_path / name, b"x")
    assert found(tmp_path) == sorted(names)


def test_hidden_and_ignored_files_are_left_out(tmp_path: Path) -> None:
    for name in ("a/1.png", "a/.hidden.png", ".git/1.png", "masks/a/1.png", "a/notes.txt"):
        write(tmp_path / name, b"x")
    assert found(tmp_path, ignore=("masks/**", "*.txt")) == ["a/1.png"]


def test_links_are_followed_but_not_in_circles(tmp_path: Path) -> None:
    write(tmp_path / "land" / "a" / "1.png", b"x")
    write(tmp_path / "elsewhere" / "2.png", b"x")
    (tmp_path / "land" / "b").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "land" / "a" / "loop").symlink_to(tmp_path / "land")
    assert found(tmp_path / "land") == ["a/1.png", "b/2.png"]


def test_a_broken_link_is_listed_for_whoever_opens_it(tmp_path: Path) -> None:
    (tmp_path / "gone.png").symlink_to(tmp_path / "nowhere.png")
    (tmp_path / "itself").symlink_to(tmp_path / "itself")
    assert found(tmp_path) == ["gone.png", "itself"]


@pytest.mark.parametrize(
    ("name", "shown"), [(b"caf\xe9.png", "caf\\xe9.png"), ("café.png".encode(), "café.png")]
)
def test_a_name_that_is_no_utf_8_can_be_printed(tmp_path: Path, name: bytes, shown: str) -> None:
    (tmp_path / os.fsdecode(name)).write_bytes(b"x")
    assert [printable(path) for path in found(tmp_path)] == [shown]

"""A path from outside stays in its folder, or is refused by name."""

from pathlib import Path

import pytest

from pipelines.errors import PathRefused
from pipelines.inside import path_inside

LEADS_OUT = [
    "",
    ".",
    "..",
    "../x",
    "a/../../x",
    "a/..",
    "/etc/passwd",
    "//server/share",
    "a//b",
    "a/",
    "./a",
    "C:/x",
    "C:x",
    "a\\..\\x",
    "\\x",
    "a\0b",
]


@pytest.mark.parametrize("path", LEADS_OUT)
def test_a_path_that_could_lead_out_is_refused(tmp_path: Path, path: str) -> None:
    with pytest.raises(PathRefused, match="not a path inside a folder"):
        path_inside(tmp_path, path)


@pytest.mark.parametrize("path", ["a", "a/b.png", "..a", "a..", "Röntgen #1.png", ".hidden", "a b"])
def test_other_names_are_taken(tmp_path: Path, path: str) -> None:
    assert path_inside(tmp_path, path) == tmp_path / path


@pytest.mark.parametrize("linked", ["a", "a/b"])
def test_a_link_on_the_way_is_refused(tmp_path: Path, linked: str) -> None:
    (tmp_path / "outside").mkdir()
    link = tmp_path / "in" / linked
    link.parent.mkdir(parents=True)
    link.symlink_to(tmp_path / "outside")

    with pytest.raises(PathRefused, match="symbolic link"):
        path_inside(tmp_path / "in", "a/b")

"""The end of a log is found quickly, and what is added is followed through a change of files."""

from pathlib import Path

import pytest

from pipelines.errors import StackError
from pipelines.settings import Settings
from stack.logs import BLOCK, Line, follow, last_lines, log_files, tail


@pytest.fixture
def log(tmp_path: Path) -> Path:
    return tmp_path / "service.log"


@pytest.mark.parametrize(
    ("content", "count", "expected"),
    [
        ("", 3, []),
        ("one\n", 3, ["one"]),
        ("one\ntwo\nthree\n", 2, ["two", "three"]),
        ("one\ntwo\nthree", 2, ["two", "three"]),
        ("one\ntwo\n", 0, []),
        ("x" * 3 * BLOCK + "\nlast\n", 2, ["x" * 3 * BLOCK, "last"]),
    ],
)
def test_the_last_lines_are_those_that_were_written_last(
    log: Path, content: str, count: int, expected: list[str]
) -> None:
    log.write_text(content)
    assert last_lines(log, count) == expected


def test_a_log_that_is_not_there_has_no_lines(log: Path) -> None:
    assert tail({"service": log}, lines=5) == []


def test_bytes_that_are_no_text_do_not_stop_the_reading(log: Path) -> None:
    log.write_bytes(b"\xff\xfe before\nafter\n")
    assert last_lines(log, 2) == ["\ufffd\ufffd before", "after"]


def test_following_goes_on_in_the_next_file_and_loses_no_line(log: Path) -> None:
    log.write_text("old\nlast of before\n")
    lines = follow({"service": log}, lines=1)
    assert next(lines) == Line("service", "last of before")

    with log.open("a") as file:
        file.write("first\nhalf of")
    assert next(lines).text == "first"
    with log.open("a") as file:
        file.write(" a line\nlast of this file\n")
    log.rename(log.with_suffix(".log.1"))
    log.write_text("first of the next\n")
    assert [next(lines).text for _ in range(3)] == [
        "half of a line",
        "last of this file",
        "first of the next",
    ]


def test_a_log_that_appears_later_is_followed_from_its_beginning(log: Path) -> None:
    other = log.with_name("mlflow.log")
    other.write_text("up\n")
    lines = follow({"service": log, "mlflow": other}, lines=1)
    assert next(lines).text == "up"
    log.write_text("starting\n")
    assert next(lines) == Line("service", "starting")


@pytest.mark.parametrize(
    ("name", "processes"),
    [
        ("hdfs", ["namenode", "datanode-0", "datanode-1"]),
        ("datanode-1", ["datanode-1"]),
        ("mlflow", ["mlflow"]),
    ],
)
def test_a_part_has_the_logs_of_its_processes(
    tmp_path: Path, name: str, processes: list[str]
) -> None:
    assert list(log_files(Settings(home=tmp_path, datanodes=2), name)) == processes


def test_an_unknown_name_is_an_error_that_lists_parts_and_processes(tmp_path: Path) -> None:
    with pytest.raises(StackError, match=r"'spark'.*hdfs.*datanode-0"):
        log_files(Settings(home=tmp_path), "spark")

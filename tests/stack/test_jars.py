"""Jars are fetched once, through Spark's Ivy, and only as pinned."""

from dataclasses import replace
from pathlib import Path

import pytest

from pipelines.errors import StackError
from pipelines.settings import Settings
from stack import jars

SMALL = next(jar for jar in jars.YARN if jar.name == "bcutil-jdk18on")


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(home=tmp_path, jars=tmp_path / "jars")


def fetch(settings: Settings, jar: jars.Jar) -> list[str]:
    """What was said while fetching."""
    said: list[str] = []
    jars.fetch(settings, [jar], said.append)
    return said


def test_a_jar_is_fetched_once_and_again_if_it_is_damaged(settings: Settings) -> None:
    assert any(SMALL.file in line for line in fetch(settings, SMALL))
    kept = settings.jars / SMALL.file
    assert kept.stat().st_size == SMALL.size
    assert fetch(settings, SMALL) == []

    kept.write_bytes(bytes(SMALL.size))
    fetch(settings, SMALL)
    assert any(kept.read_bytes())
    assert [path.name for path in settings.jars.iterdir()] == [SMALL.file]


def test_a_jar_that_is_not_what_was_pinned_is_not_kept(settings: Settings) -> None:
    with pytest.raises(StackError, match=f"{SMALL.sha256}, not the pinned {'0' * 64}"):
        fetch(settings, replace(SMALL, sha256="0" * 64))
    assert list(settings.jars.iterdir()) == []


def test_a_jar_that_cannot_be_had_is_an_error_that_says_what_to_do(settings: Settings) -> None:
    with pytest.raises(StackError, match=r"bcutil-jdk18on:0\.0\.0.*by hand"):
        fetch(settings, replace(SMALL, version="0.0.0"))
    assert list(settings.jars.iterdir()) == []


def test_the_servers_find_their_own_jars_and_those_of_pyspark(settings: Settings) -> None:
    first, *shipped = jars.classpath(settings, jars.HDFS).split(":")
    assert first == str(settings.jars / jars.HADOOP.file)
    assert len(shipped) == len(jars.SHIPPED)
    assert all(Path(jar).is_file() for jar in shipped)

import logging
import re
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from pipelines.errors import (
    BundleError,
    MedloopError,
    SparkJobFailed,
    StackError,
    Unavailable,
)
from pipelines.settings import Settings
from pipelines.spark.class_archive import archive_for
from pipelines.spark.session import _start, require_java, spark_session, told

if TYPE_CHECKING:
    from pyspark.sql import SparkSession


def fake_java(home: Path, says: str) -> None:
    java = home / "bin" / "java"
    java.parent.mkdir(parents=True)
    java.write_text(f"#!/bin/sh\necho '{says}' >&2\n")
    java.chmod(0o755)


def test_java_that_is_new_enough_is_accepted() -> None:
    require_java()


@pytest.mark.parametrize("says", ['openjdk version "11.0.2" 2019', "no such thing", ""])
def test_an_old_java_is_refused_with_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, says: str
) -> None:
    fake_java(tmp_path, says)
    monkeypatch.setenv("JAVA_HOME", str(tmp_path))
    with pytest.raises(StackError, match=r"bin/java -version says .*needs Java 17.*apt-get"):
        require_java()


def test_a_java_home_without_java_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("JAVA_HOME", str(tmp_path))
    with pytest.raises(StackError, match=f"JAVA_HOME={tmp_path} holds no bin/java"):
        require_java()


def test_no_java_at_all_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("JAVA_HOME", raising=False)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(StackError, match="No java on PATH"):
        require_java()


def test_a_running_session_is_used_and_left_running(
    spark: "SparkSession", installation: Settings
) -> None:
    with spark_session(installation, name="second") as session:
        assert session is spark
    assert spark.range(3).count() == 3


@pytest.mark.parametrize(
    ("raised", "error"),
    [
        ("pipelines.errors.BundleError", BundleError),
        ("ValueError", SparkJobFailed),
        ("ConnectionResetError", Unavailable),
    ],
)
def test_what_a_worker_raises_decides_whether_the_job_is_tried_again(
    raised: str, error: type[MedloopError], spark: "SparkSession", installation: Settings
) -> None:
    def work(batches: Iterator[Any]) -> Iterator[Any]:
        import builtins
        import importlib

        module, _, name = raised.rpartition(".")
        for batch in batches:
            if len(batch):
                kind = getattr(importlib.import_module(module) if module else builtins, name)
                raise kind("no good")
            yield batch

    assert spark is not None
    with (
        pytest.raises(error, match="no good") as caught,
        spark_session(installation, name="work") as session,
    ):
        session.range(3).mapInPandas(work, "id long").collect()
    assert type(caught.value) is error


@pytest.mark.parametrize(
    ("master", "error"), [("spark://127.0.0.1:9", Unavailable), ("local[1]", StackError)]
)
def test_a_cluster_that_does_not_answer_is_asked_again(
    master: str,
    error: type[MedloopError],
    installation: Settings,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from py4j.protocol import Py4JError
    from pyspark.sql import SparkSession

    def give_up(_: Any) -> None:
        raise Py4JError("All masters are unresponsive! Giving up.")

    monkeypatch.setattr(SparkSession.Builder, "getOrCreate", give_up)
    settings = installation.model_copy(update={"spark": master})

    with pytest.raises(error, match=f"does not start on {re.escape(master)}"):
        _start(settings, "work", archive_for(settings, java_version="17"), {})


def test_a_long_job_says_how_far_it_is(
    spark: "SparkSession", monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("pipelines.progress.SECONDS_BETWEEN_LINES", 0.2)
    caplog.set_level(logging.INFO)
    with told(spark, what="Sleeping", tasks=4):
        spark.sparkContext.parallelize(range(4), 4).foreach(lambda _: time.sleep(0.5))
    said = [record.getMessage() for record in caplog.records]
    assert said[0] == "Sleeping, parts: 0 of 4"
    assert said[-1] in [f"Sleeping, parts: {n} of 4" for n in (1, 2, 3, 4)]

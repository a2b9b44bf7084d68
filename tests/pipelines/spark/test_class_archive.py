"""Spark's Java starts from the classes that an earlier session left."""

import subprocess
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, cast

import pytest

from pipelines.settings import Settings
from pipelines.spark import class_archive
from pipelines.spark.class_archive import KEPT, PREFIX, ClassArchive, archive_for
from pipelines.spark.session import require_java

if TYPE_CHECKING:
    from pyspark.sql import SparkSession


def test_a_session_starts_from_the_archive_of_an_earlier_one(
    spark: "SparkSession", installation: Settings
) -> None:
    archive = archive_for(installation, java_version=require_java())
    java = spark.sparkContext._gateway.proc.pid

    assert archive.is_there
    assert str(archive.path) in Path(f"/proc/{java}/maps").read_text()


def test_another_java_has_an_archive_of_its_own(installation: Settings) -> None:
    one, other = (archive_for(installation, java_version=v) for v in ("17.0.15", "21.0.1"))

    assert one.path != other.path
    assert one == archive_for(installation, java_version="17.0.15")


def test_java_starts_without_a_word_where_the_archive_is_damaged(tmp_path: Path) -> None:
    archive = ClassArchive(tmp_path / "classes.jsa")
    archive.path.write_bytes(b"no archive" * 1000)

    ended = subprocess.run(
        ["java", *archive.options.split(), "-version"], capture_output=True, text=True, check=True
    )
    assert ended.stdout == ""
    assert "warning" not in ended.stderr


def test_a_folder_that_cannot_be_made_costs_the_archive_only(tmp_path: Path) -> None:
    (tmp_path / "file").touch()

    assert "ArchiveClassesAtExit" in ClassArchive(tmp_path / "folder" / "classes.jsa").options
    assert "Archive" not in ClassArchive(tmp_path / "file" / "classes.jsa").options


def test_a_java_that_takes_too_long_to_write_costs_the_archive_only(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    archive = ClassArchive(tmp_path / "classes.jsa")
    archive._unfinished.write_bytes(b"the first half")
    monkeypatch.setattr(class_archive, "WRITTEN_WITHIN", 0.1)

    with subprocess.Popen(["sleep", "20"], stdin=subprocess.PIPE) as java:
        gateway = SimpleNamespace(proc=java, shutdown=lambda: None)
        context = type("Context", (), {"_gateway": gateway, "_jvm": None})()
        archive.keep(cast("SparkSession", SimpleNamespace(sparkContext=context)))

        assert java.returncode is not None
    assert context._gateway is context._jvm is None
    assert not archive.is_there
    assert not archive._unfinished.exists()


def test_the_archives_of_former_upgrades_are_removed(tmp_path: Path) -> None:
    for n in range(KEPT + 2):
        (tmp_path / f"{PREFIX}{n}.jsa").write_bytes(b"")
    (tmp_path / "hadoop.jar").write_bytes(b"")

    ClassArchive(tmp_path / f"{PREFIX}{n}.jsa")._remove_old()

    assert len(list(tmp_path.glob(f"{PREFIX}*"))) == KEPT
    assert (tmp_path / "hadoop.jar").exists()

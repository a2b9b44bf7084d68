"""Spark's properties follow from the settings; a file adds others and overrides none of ours."""

import zipfile
from pathlib import Path

import pytest

from pipelines.errors import SettingsError
from pipelines.settings import PROJECT, Settings
from pipelines.spark.cluster import cluster_environment, cluster_options
from pipelines.spark.properties import with_further
from pipelines.spark.sent_code import sent_code
from pipelines.spark.session import _event_log

OURS = {
    "spark.archives": "/code.zip#medloop-code",
    "spark.sql.session.timeZone": "UTC",
    "spark.executor.memoryOverhead": "896m",
}


def further(tmp_path: Path, text: str) -> dict[str, str]:
    file = tmp_path / "spark.conf"
    file.write_text(text, "utf-8")
    return with_further(Settings(spark_conf=file), OURS)


def test_a_file_adds_properties(tmp_path: Path) -> None:
    given = "# for our nodes\nspark.task.cpus 2\nspark.executor.memoryOverhead=2g\n\n"
    given += "spark.archives hdfs://nn/env.tar.gz#environment\n"
    given += "spark.executor.extraJavaOptions  -Da=b -Dc=d"

    assert further(tmp_path, given) == OURS | {
        "spark.task.cpus": "2",
        "spark.executor.memoryOverhead": "2g",
        "spark.archives": "/code.zip#medloop-code,hdfs://nn/env.tar.gz#environment",
        "spark.executor.extraJavaOptions": "-Da=b -Dc=d",
    }


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("spark.master yarn", "use MEDLOOP_SPARK"),
        ("spark.executor.memory=4g", "use MEDLOOP_SPARK_EXECUTOR_MEMORY"),
        ("spark.sql.session.timeZone CET", "depends on its own value"),
        ("hadoop.user root", "line 1 is 'hadoop.user root'; write a Spark property"),
        ("spark.task.cpus", "line 1 is"),
    ],
)
def test_a_property_that_is_not_for_the_file_is_named(tmp_path: Path, line: str, says: str) -> None:
    with pytest.raises(SettingsError, match=rf"MEDLOOP_SPARK_CONF=.*{says}"):
        further(tmp_path, line)


def test_a_missing_file_names_its_variable(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"MEDLOOP_SPARK_CONF=.*cannot be read"):
        with_further(Settings(spark_conf=tmp_path / "none"), OURS)


def test_a_standalone_cluster_counts_cores() -> None:
    settings = Settings(spark="spark://a:7077", spark_executors=3, spark_executor_cores=2)

    assert cluster_options(settings) == {
        "spark.executor.memory": "1g",
        "spark.executor.cores": "2",
        "spark.cores.max": "6",
    }


def test_yarn_elsewhere_is_found_by_its_configuration(
    tmp_path: Path,
) -> None:
    elsewhere = Settings(
        home=tmp_path,
        spark="yarn",
        spark_hadoop_conf="/etc/hadoop/conf",
        spark_executors=3,
        spark_executor_cores=2,
        spark_executor_memory="4g",
        spark_python="/opt/medloop/bin/python",
    )

    assert cluster_options(elsewhere) == {
        "spark.executor.memory": "4g",
        "spark.executor.cores": "2",
        "spark.executor.memoryOverhead": "1408m",
        "spark.executor.instances": "3",
    }
    assert cluster_environment(elsewhere) == {
        "HADOOP_CONF_DIR": "/etc/hadoop/conf",
        "PYSPARK_PYTHON": "/opt/medloop/bin/python",
    }
    assert cluster_environment(Settings(spark_python="/opt/medloop/bin/python")) == {}


def test_our_code_is_sent_to_a_cluster_only() -> None:
    with sent_code(Settings()) as local:
        assert local == {"spark.executorEnv.PYTHONPATH": str(PROJECT)}
    with sent_code(Settings(spark="spark://a:7077")) as sent:
        archive, _, name = sent["spark.archives"].partition("#")
        assert sent["spark.executorEnv.PYTHONPATH"] == name
        names = zipfile.ZipFile(archive).namelist()
    assert "pipelines/data/prepare/executor.py" in names
    assert {Path(name).parts[0] for name in names} == {"pipelines"}
    assert not Path(archive).exists()


def test_event_logs_go_to_a_folder_that_is_made(tmp_path: Path) -> None:
    logs = tmp_path / "events"

    assert _event_log(Settings(spark_event_log=str(logs)))["spark.eventLog.dir"] == logs.as_uri()
    assert logs.is_dir()
    there = _event_log(Settings(spark_event_log="hdfs://nn:8020/logs"))
    assert there["spark.eventLog.dir"] == "hdfs://nn:8020/logs"
    assert _event_log(Settings()) == {}

"""A choice of parts brings what they need, in the order of starting."""

import re
from pathlib import Path

import pytest

from pipelines.errors import SettingsError, StackError
from pipelines.settings import Settings, get_settings
from stack.catalog import all_parts, choose
from stack.part import Part


@pytest.fixture
def parts(tmp_path: Path) -> list[Part]:
    return all_parts(Settings(home=tmp_path, spark="yarn"))


@pytest.mark.parametrize(
    ("names", "chosen"),
    [
        (["hdfs"], ["hdfs"]),
        (["mlflow"], ["postgres", "mlflow"]),
        (["yarn", "airflow"], ["postgres", "hdfs", "yarn", "airflow"]),
        (None, ["postgres", "hdfs", "yarn", "mlflow", "airflow", "service", "queue", "watch"]),
        (["queue"], ["postgres", "queue"]),
    ],
)
def test_parts_come_with_what_they_need(
    parts: list[Part], names: list[str] | None, chosen: list[str]
) -> None:
    assert [part.name for part in choose(parts, names)] == chosen


def test_an_unknown_part_is_an_error_that_lists_the_known_ones(parts: list[Part]) -> None:
    with pytest.raises(StackError, match=r"'spark'.*postgres, hdfs"):
        choose(parts, ["spark"])


@pytest.mark.parametrize(
    ("setting", "cluster"),
    [
        ({}, set()),
        ({"spark": "yarn"}, {"yarn"}),
        ({"spark": "standalone"}, {"spark"}),
        ({"spark": "local[2]"}, set()),
        ({"spark": "spark://elsewhere:7077"}, set()),
        ({"spark": "yarn", "spark_hadoop_conf": "/etc/hadoop"}, set()),
    ],
)
def test_a_cluster_for_spark_is_there_only_where_it_is_wanted(
    tmp_path: Path, setting: dict[str, str], cluster: set[str]
) -> None:
    settings = Settings.model_validate({"home": tmp_path, **setting})
    assert {part.name for part in all_parts(settings)} & {"yarn", "spark"} == cluster


def test_every_process_and_every_port_is_one_parts_alone(parts: list[Part]) -> None:
    processes = [process for part in parts for process in part.processes]
    names = [process.name for process in processes]
    ports = [port.number for process in processes for port in process.ports]
    assert len(set(names)) == len(names)
    assert len(set(ports)) == len(ports)


@pytest.mark.parametrize("cluster", ["yarn", "standalone"])
def test_every_port_is_moved_by_the_setting_it_names(tmp_path: Path, cluster: str) -> None:
    fields = {"home": tmp_path, "spark": cluster}
    for part in all_parts(Settings.model_validate(fields)):
        for process in part.processes:
            for port in process.ports:
                field = port.setting.removeprefix("MEDLOOP_").lower()
                before = getattr(Settings.model_validate(fields), field)
                moved = Settings.model_validate(fields | {field: before + 1000})
                numbers = [p.number for q in all_parts(moved) for r in q.processes for p in r.ports]
                assert port.number + 1000 in numbers


@pytest.mark.parametrize("cluster", ["yarn", "standalone"])
@pytest.mark.parametrize(
    ("fields", "address"),
    [
        ({}, "127.0.0.1"),
        # what asks nobody stays within, however far the service is reached
        ({"host": "0.0.0.0"}, "127.0.0.1"),
        ({"host": "0.0.0.0", "cluster_host": "127.0.0.7"}, "127.0.0.7"),
    ],
)
def test_hdfs_and_spark_s_cluster_listen_where_the_setting_says(
    tmp_path: Path, fields: dict[str, str], address: str, cluster: str
) -> None:
    settings = Settings.model_validate({"home": tmp_path, "spark": cluster, **fields})
    parts = [part for part in all_parts(settings) if part.name in ("hdfs", "yarn", "spark")]
    for process in (process for part in parts for process in part.processes):
        addresses = set(re.findall(r"127\.0\.0\.\d|0\.0\.0\.0", " ".join(process.command)))
        assert addresses == {address}, process.name
        assert address in str(process.url)
    assert address in settings.store_root
    assert address in settings.webhdfs


@pytest.mark.parametrize("host", ["0.0.0.0", "::"])
def test_a_cluster_s_host_is_one_that_others_can_be_told(
    host: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    get_settings.cache_clear()
    monkeypatch.setenv("MEDLOOP_CLUSTER_HOST", host)
    with pytest.raises(SettingsError, match=r"MEDLOOP_CLUSTER_HOST=.*this machine's name"):
        get_settings()

"""Real parts for tests: on free ports, in a folder of their own, apart from the user's stack."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from pipelines.isolation import IsolatedSettings
from pipelines.settings import Settings
from stack.control import down, up
from stack.hdfs import DATANODE_OFFSETS, PORTS_EACH
from stack.ports import find_free

HOST = "127.0.0.1"


def isolated_settings(home: Path, *, datanodes: int = 1, **fields: Any) -> Settings:
    """Settings of an installation that shares no port and no folder with any other.

    Args:
        home: where its state goes.
        datanodes: how many DataNodes its HDFS has.
        fields: further fields of `Settings`.
    """
    offsets = [PORTS_EACH * n + offset for n in range(datanodes) for offset in DATANODE_OFFSETS]
    ports = {
        "datanode_base_port": find_free(HOST, offsets=offsets),
        **{name: find_free(HOST) for name in _SINGLE_PORTS},
    }
    return IsolatedSettings.model_validate(
        {"home": home, "host": HOST, "datanodes": datanodes, **ports, **fields}
    )


_SINGLE_PORTS = (
    "service_port",
    "mlflow_port",
    "airflow_port",
    "namenode_port",
    "namenode_rpc_port",
    "resource_manager_port",
    "spark_port",
    "watch_port",
)


@contextmanager
def running_stack(parts: Iterable[str] | None, *, home: Path, **fields: Any) -> Iterator[Settings]:
    """Run parts of the stack for as long as the context lasts.

    Args:
        parts: their names (``"hdfs"``, ``"mlflow"`` …); what they need comes too. All if ``None``.
        home: where their state goes.
        fields: further fields of `Settings`.

    Yields:
        The settings that reach them.
    """
    settings = isolated_settings(home, **fields)
    try:
        up(settings, parts)
        yield settings
    finally:
        down(settings)

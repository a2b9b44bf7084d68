"""How many heavy steps run at once."""

import os
from typing import NamedTuple

import psutil
import pytest

from pipelines.settings import Settings
from stack.pools import heavy_tasks


class Memory(NamedTuple):
    total: int


@pytest.mark.parametrize(
    ("cores", "gigabytes", "tasks"),
    [(1, 4, 1), (2, 8, 1), (4, 8, 1), (4, 16, 2), (16, 64, 8), (16, 24, 4)],
)
def test_as_many_as_cores_and_memory_allow(
    monkeypatch: pytest.MonkeyPatch, cores: int, gigabytes: int, tasks: int
) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(cores)))
    monkeypatch.setattr(psutil, "virtual_memory", lambda: Memory(gigabytes << 30))

    assert heavy_tasks(Settings()) == tasks


def test_an_installation_may_say_otherwise() -> None:
    assert heavy_tasks(Settings(heavy_tasks=3)) == 3

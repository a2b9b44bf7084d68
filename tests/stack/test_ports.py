"""Taken ports are named with their holder; free ports are free."""

import os
import socket
from collections.abc import Iterator

import psutil
import pytest

from pipelines.errors import StackError
from pipelines.ports import holder, is_free
from stack.part import Port, Process
from stack.ports import find_free, require_free

HOST = "127.0.0.1"


@pytest.fixture
def taken() -> Iterator[int]:
    """A port that this very process listens on."""
    with socket.create_server((HOST, 0)) as server:
        yield server.getsockname()[1]


def part_on(*ports: int) -> Process:
    listened = [Port(port, "MEDLOOP_MLFLOW_PORT") for port in ports]
    return Process(name="mlflow", command=["mlflow"], obstacle=lambda _: None, ports=listened)


def test_a_taken_port_is_an_error_that_names_holder_and_setting(taken: int) -> None:
    with pytest.raises(StackError) as error:
        require_free(HOST, [part_on(taken)])
    message = str(error.value)
    assert f"Port {taken}" in message
    assert f"{psutil.Process().name()} (pid {os.getpid()})" in message
    assert "MEDLOOP_MLFLOW_PORT" in message


def test_the_second_port_of_a_process_counts_too(taken: int) -> None:
    with pytest.raises(StackError, match=f"Port {taken}"):
        require_free(HOST, [part_on(find_free(HOST), taken)])


def test_ports_that_our_own_processes_hold_are_no_obstacle(taken: int) -> None:
    require_free(HOST, [part_on(taken)], ours={taken})


def test_a_port_is_free_again_once_its_holder_is_gone(taken: int) -> None:
    assert not is_free(HOST, taken)
    free = find_free(HOST)
    with socket.create_server((HOST, free)):
        assert not is_free(HOST, free)
    assert is_free(HOST, free)


def test_a_port_without_a_holder_is_not_given_one() -> None:
    assert "pid" not in holder(find_free(HOST))


def test_ports_found_with_offsets_are_all_free() -> None:
    base = find_free(HOST, offsets=(0, 2, 3))
    assert all(is_free(HOST, base + offset) for offset in (0, 2, 3))


def test_an_address_of_another_machine_is_an_error_that_names_it() -> None:
    with pytest.raises(StackError, match=r"192\.0\.2\.1"):
        is_free("192.0.2.1", 5000)

"""Calls that crash, hang or take all memory cost nothing but themselves."""

import os
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from pipelines.errors import BadImage
from pipelines.failures import frames_of
from pipelines.guarded import AHEAD, Cell, Died, Lost, TookTooLong, call_each

SECONDS = 60.0
MEMORY = 256 << 20


def handled(item: str) -> str:
    """Runs in the other process."""
    if item == "crash":
        os._exit(9)
    if item == "error":
        raise BadImage("corrupt", "broken")
    if item.startswith("/"):  # crashes the first time only
        if not Path(item).exists():
            Path(item).touch()
            os._exit(9)
        return "healed"
    return f"{item} by {os.getpid()}"


def memory_of(size: int) -> int:
    return len(bytes(size))


@pytest.fixture(scope="module")
def cell() -> Iterator[Cell]:
    made = Cell(seconds=SECONDS, memory=MEMORY)
    yield made
    made.close()


def test_a_call_returns_or_raises_as_it_would_here(cell: Cell) -> None:
    first = cell.call(handled, "a")
    assert first.startswith("a by ")
    assert str(os.getpid()) not in first
    with pytest.raises(BadImage, match="broken") as raised:
        cell.call(handled, "error")
    assert raised.value.reason == "corrupt"
    assert "in handled" in frames_of(raised.value)
    with pytest.raises(MemoryError):
        cell.call(memory_of, 2 * MEMORY)
    assert cell.call(handled, "a") == first, "the same process goes on"


def test_a_call_that_ends_its_process_is_reported_and_the_next_one_answered(cell: Cell) -> None:
    with pytest.raises(Died, match="exit status 9"):
        cell.call(handled, "crash")
    assert cell.call(handled, "a").startswith("a by ")


def test_a_call_that_does_not_return_is_ended(cell: Cell, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cell, "_seconds", 0.2)
    with pytest.raises(TookTooLong):
        cell.call(time.sleep, 600)


def test_the_item_that_ended_its_process_is_named_and_all_others_are_done(tmp_path: Path) -> None:
    items = ["a", "crash", str(tmp_path / "once"), "b"]
    found = dict(call_each(handled, items, processes=1, seconds=SECONDS, memory=MEMORY))
    lost = found.pop("crash")
    assert isinstance(lost, Lost)
    assert isinstance(lost.error, Died)
    assert found.pop(items[2]) == "healed", "it may have been ended because of another one"
    assert [str(result)[:5] for result in found.values()] == ["a by ", "b by "]


def test_few_calls_are_made_before_their_results_are_asked_for() -> None:
    taken: list[str] = []

    def items() -> Iterator[str]:
        for number in range(100):
            taken.append(str(number))
            yield str(number)

    results = call_each(handled, items(), processes=1, seconds=SECONDS, memory=MEMORY)
    assert next(results)[0] == "0"
    assert len(taken) == AHEAD + 1
    assert [item for item, _ in results] == [str(number) for number in range(1, 100)], "in order"

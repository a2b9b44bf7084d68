"""What waits, what is refused, and what is dropped."""

import asyncio
import threading
import time
from collections.abc import Awaitable, Callable
from functools import partial

import pytest

from serving.context import Problem
from serving.executor import FIRST_GUESS, InferenceExecutor


def test_no_more_is_done_at_once_than_there_are_threads() -> None:
    at_work, most = 0, 0
    lock = threading.Lock()

    def work() -> None:
        nonlocal at_work, most
        with lock:
            at_work += 1
            most = max(most, at_work)
        time.sleep(0.01)
        with lock:
            at_work -= 1

    async def scene(executor: InferenceExecutor) -> None:
        await asyncio.gather(*(executor.run(work) for _ in range(12)))

    _play(scene, threads=3)
    assert most == 3


def test_work_is_done_in_the_order_it_came_and_gives_what_it_returns() -> None:
    done: list[int] = []

    def work(number: int) -> int:
        done.append(number)
        return number * 2

    async def scene(executor: InferenceExecutor) -> None:
        doubled = await asyncio.gather(*(executor.run(partial(work, n)) for n in range(20)))
        assert doubled == [n * 2 for n in range(20)]

    _play(scene)
    assert done == list(range(20))


def test_what_would_wait_too_long_is_refused_and_room_comes_back() -> None:
    async def scene(executor: InferenceExecutor) -> None:
        go = threading.Event()
        waiting = [asyncio.create_task(executor.run(go.wait)) for _ in range(12)]
        await asyncio.sleep(0)
        with pytest.raises(Problem, match="11 images wait") as refused:
            executor.require_room()
        assert (refused.value.status, refused.value.code) == (503, "overloaded")
        assert int(refused.value.headers["Retry-After"]) >= 1
        go.set()
        await asyncio.gather(*waiting)
        executor.require_room()

    _play(scene, wait_seconds=10.5 * FIRST_GUESS)


def test_as_much_may_wait_as_is_soon_done() -> None:
    async def room(executor: InferenceExecutor, *, seconds: float) -> int:
        """How many pieces of work of a length are let in."""
        for _ in range(100):
            await executor.run(lambda: time.sleep(seconds))
        go = threading.Event()
        waiting = []
        for _ in range(500):
            try:
                executor.require_room()
            except Problem:
                break
            waiting.append(asyncio.create_task(executor.run(go.wait)))
            await asyncio.sleep(0)
        go.set()
        await asyncio.gather(*waiting)
        return len(waiting)

    async def scene(executor: InferenceExecutor) -> None:
        quick = await room(executor, seconds=0.001)
        slow = await room(executor, seconds=0.02)
        assert slow < 10 < 25 < quick

    _play(scene, wait_seconds=0.1)


def test_slow_work_is_still_let_in_where_none_waits() -> None:
    async def scene(executor: InferenceExecutor) -> None:
        for _ in range(30):
            await executor.run(lambda: time.sleep(0.01))
        executor.require_room()

    _play(scene, wait_seconds=0.001)


def test_work_of_a_client_that_left_while_it_waited_is_not_done() -> None:
    done: list[str] = []

    async def scene(executor: InferenceExecutor) -> None:
        go = threading.Event()
        first = asyncio.create_task(executor.run(go.wait))
        note_left, note_stays = partial(done.append, "left"), partial(done.append, "stays")
        left = asyncio.create_task(executor.run(note_left, is_abandoned=_say(True)))
        stays = asyncio.create_task(executor.run(note_stays, is_abandoned=_say(False)))
        await asyncio.sleep(0)
        go.set()
        with pytest.raises(Problem, match="went away"):
            await left
        await asyncio.gather(first, stays)

    _play(scene)
    assert done == ["stays"]


def test_a_cancelled_wait_takes_no_thread_with_it() -> None:
    async def scene(executor: InferenceExecutor) -> None:
        go = threading.Event()
        first = asyncio.create_task(executor.run(go.wait))
        second = asyncio.create_task(executor.run(lambda: 2))
        await asyncio.sleep(0)
        second.cancel()
        go.set()
        await first
        assert await asyncio.wait_for(executor.run(lambda: 3), 2) == 3
        with pytest.raises(asyncio.CancelledError):
            await second

    _play(scene)


def test_a_thread_s_place_is_free_when_its_work_has_ended_however_often_it_is_cancelled() -> None:
    async def scene(executor: InferenceExecutor) -> None:
        go = threading.Event()
        cancelled = asyncio.create_task(executor.run(go.wait))
        waiting = asyncio.create_task(executor.run(lambda: 2))
        for _ in range(3):
            await asyncio.sleep(0.02)
            cancelled.cancel()
        done, _ = await asyncio.wait([waiting, cancelled], timeout=0.1)
        assert not done
        go.set()
        assert await waiting == 2
        with pytest.raises(asyncio.CancelledError):
            await cancelled

    _play(scene)


def test_an_error_of_the_work_is_its_callers() -> None:
    async def scene(executor: InferenceExecutor) -> None:
        with pytest.raises(ZeroDivisionError):
            await executor.run(lambda: 1 // 0)
        assert await executor.run(lambda: 1) == 1

    _play(scene)


def _say(so: bool) -> Callable[[], Awaitable[bool]]:
    async def is_abandoned() -> bool:
        return so

    return is_abandoned


def _play(
    scene: Callable[[InferenceExecutor], Awaitable[None]],
    *,
    threads: int = 1,
    wait_seconds: float = 1,
) -> None:
    executor = InferenceExecutor(threads, wait_seconds=wait_seconds)

    async def play() -> None:
        await scene(executor)

    try:
        asyncio.run(play())
    finally:
        executor.close()

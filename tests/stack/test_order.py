"""Parts that need others wait for them; those that do not, do not."""

from threading import Barrier, Event

import pytest

from stack.order import each_after
from stack.part import Part

A = Part(name="a", processes=[])
B = Part(name="b", processes=[], needs=["a"])
C = Part(name="c", processes=[], needs=["b", "elsewhere"])


def test_each_part_has_its_turn_after_those_it_needs() -> None:
    turns: list[str] = []
    each_after([C, B, A], lambda p: p.needs, lambda p: turns.append(p.name), interrupted=Event())
    assert turns == ["a", "b", "c"]


def test_parts_that_need_nothing_have_their_turn_at_once() -> None:
    together = Barrier(2, timeout=10)
    parts = [Part(name=name, processes=[]) for name in ("x", "y")]

    def act(_: Part) -> None:
        together.wait()

    each_after(parts, lambda part: part.needs, act, interrupted=Event())


def test_what_needs_a_failed_part_is_left_alone_and_the_failure_is_told() -> None:
    turns: list[str] = []

    def act(part: Part) -> None:
        turns.append(part.name)
        if part.name == "b":
            raise RuntimeError("b is broken")

    with pytest.raises(RuntimeError, match="b is broken"):
        each_after([A, B, C], lambda p: p.needs, act, interrupted=Event())
    assert turns == ["a", "b"]

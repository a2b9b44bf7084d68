"""A soak's verdict: what passes, and what each kind of decay is caught by."""

import asyncio
from pathlib import Path

import pytest
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from benchmarks.arrivals import Answer, Arrivals
from benchmarks.processes import free_port
from benchmarks.soak import Soak, Weight, claims
from benchmarks.soak_plot import draw
from benchmarks.wire import request

STEADY = [Answer(n / 20, 0.02 + 0.01 * (n % 7) / 7, 200) for n in range(2400)]
FLAT = [Weight(float(n), 200 + n % 3, 300, 20 + n % 4, 13) for n in range(120)]


def test_a_steady_service_passes(tmp_path: Path) -> None:
    soak = Soak(20, 25, STEADY, FLAT)
    assert all(claim.holds for claim in claims(soak))
    draw(soak, tmp_path / "soak.png")
    assert (tmp_path / "soak.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize(
    ("answers", "weights", "caught"),
    [
        ([*STEADY, Answer(3, 0.1, 503)], FLAT, "requests that failed"),
        ([*STEADY[:-30], *[Answer(9, 0.3, 200)] * 30], FLAT, "p99 of all answers"),
        (STEADY, [Weight(n, 200 + n / 5, 300, 20, 13) for n in range(120)], "memory's trend"),
        (STEADY, [Weight(n, 200, 300, 20 + n, 13) for n in range(120)], "open files"),
        (STEADY, [Weight(n, 200, 300, 20, 13 + n // 10) for n in range(120)], "threads"),
    ],
    ids=["failure", "tail", "memory", "files", "threads"],
)
def test_what_decays_is_caught(answers: list[Answer], weights: list[Weight], caught: str) -> None:
    failing = [claim.what for claim in claims(Soak(20, 25, answers, weights)) if not claim.holds]
    assert len(failing) == 1
    assert failing[0].startswith(caught)


def test_a_slow_answer_makes_no_later_request_late() -> None:
    """Latency counts from the time a request is due, and requests wait for none before them."""
    slow = iter([0.5])

    async def answer(_: Request) -> Response:
        await asyncio.sleep(next(slow, 0))
        return Response("yes")

    async def scene() -> list[Answer]:
        port = free_port()
        app = Starlette(routes=[Route("/", answer)])
        server = uvicorn.Server(uvicorn.Config(app, port=port, log_level="error"))
        serving = asyncio.create_task(server.serve())
        while not server.started:
            await asyncio.sleep(0.01)
        arrivals = Arrivals(port, request("/"), rate=50)
        await arrivals.run(seconds=0.6)
        server.should_exit = True
        await serving
        return arrivals.answers

    answers = sorted(asyncio.run(scene()), key=lambda one: one.due)
    assert [one.status for one in answers] == [200] * 30
    assert answers[0].latency >= 0.5
    assert sum(one.latency > 0.4 for one in answers) == 1

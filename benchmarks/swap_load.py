"""Requests without a pause while champions change; each answer is kept with its times."""

import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass

import httpx

PER_CONNECTION = 20
"""Requests on one connection; then a new one, which may reach another worker."""


@dataclass(frozen=True)
class Answer:
    """One request's end."""

    began: float
    """By `time.monotonic`."""
    ended: float
    status: int
    """0 where there was no answer at all."""
    version: int | None
    probabilities: tuple[float, ...]


@contextmanager
def load(url: str, image: bytes, *, dataset: str, clients: int) -> Iterator[list[Answer]]:
    """Ask a data set's model from several threads; the list holds every answer once the block
    has ended."""
    ended = threading.Event()
    answers: list[Answer] = []

    def ask() -> None:
        while not ended.is_set():
            with httpx.Client(base_url=url, timeout=30, trust_env=False) as http:
                for _ in range(PER_CONNECTION):
                    answers.append(_ask(http, image, dataset))

    with ThreadPoolExecutor(clients) as threads:
        asking = [threads.submit(ask) for _ in range(clients)]
        try:
            yield answers
        finally:
            ended.set()
        for one in asking:
            one.result()


def _ask(http: httpx.Client, image: bytes, dataset: str) -> Answer:
    began = time.monotonic()
    raw = {"Content-Type": "image/png"}
    try:
        reply = http.post("/predict", params={"dataset": dataset}, content=image, headers=raw)
    except httpx.TransportError:
        return Answer(began, time.monotonic(), 0, None, ())
    body = reply.json()
    return Answer(
        began,
        time.monotonic(),
        reply.status_code,
        body.get("model_version"),
        tuple(body.get("probabilities", {}).values()),
    )

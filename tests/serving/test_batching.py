"""Adaptive batching: the same answers, images of different models apart, refusals by name."""

import asyncio
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, cast

import httpx
import pytest

from pipelines.release.predictor import Picture, Predictor, Reading
from serving.batching import MOST, Batcher, judge_each
from serving.context import Problem
from serving.executor import InferenceExecutor
from tests.serving.bundles import png
from tests.serving.running import running_service

IMAGES = 64


class FakePredictor:
    """Answers with its name and the picture; notes how many it was asked about at once."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.sizes: list[int] = []

    def judge(self, pictures: Sequence[Any]) -> list[Any]:
        self.sizes.append(len(pictures))
        time.sleep(0.005)
        return [(self.name, picture) for picture in pictures]


def test_a_batch_asks_each_model_once_and_keeps_the_order() -> None:
    old, new = FakePredictor("old"), FakePredictor("new")
    models = [old, new, new, old, new]
    waiting = [(model, place) for place, model in enumerate(models)]
    readings: list[Any] = [*judge_each(cast(list[tuple[Predictor, Picture]], waiting))]
    assert readings == [(model.name, place) for place, model in enumerate(models)]
    assert (old.sizes, new.sizes) == ([2], [3])


def test_images_that_wait_are_gathered_and_each_gets_its_own_answer() -> None:
    model = FakePredictor("model")
    answers = _judge_all(model, wait_seconds=60)
    assert answers == [("model", number) for number in range(IMAGES)]
    assert sum(model.sizes) == IMAGES
    assert 1 < max(model.sizes) <= MOST


def test_what_would_wait_too_long_is_refused_by_name() -> None:
    model = FakePredictor("model")
    answers = _judge_all(model, wait_seconds=0.001)
    refused = [answer for answer in answers if isinstance(answer, Problem)]
    assert refused
    assert {(problem.status, problem.code) for problem in refused} == {(503, "overloaded")}
    answered = [answer for answer in answers if not isinstance(answer, Problem)]
    assert len(answered) == sum(model.sizes) == IMAGES - len(refused)


def _judge_all(model: FakePredictor, *, wait_seconds: float) -> list[Any]:
    """What comes of images that arrive at once."""

    async def scene() -> list[Reading | BaseException]:
        executor = InferenceExecutor(1)
        batcher = Batcher(executor, wait_seconds=wait_seconds)
        asked = (
            batcher.judge(cast(Predictor, model), cast(Picture, number)) for number in range(IMAGES)
        )
        try:
            return await asyncio.gather(*asked, return_exceptions=True)
        finally:
            batcher.close()
            executor.close()

    return asyncio.run(scene())


def test_a_service_answers_in_batches_as_one_by_one(
    bundle: Path, predictor: Predictor, tmp_path: Path
) -> None:
    images = [png(seed % 8) for seed in range(24)]
    images[5] = b"not an image"
    settings = {"service_batching": "adaptive", "service_wait_seconds": 60}
    with running_service(tmp_path, "--bundle", str(bundle), **settings) as http:
        with ThreadPoolExecutor(8) as threads:
            answers = list(threads.map(lambda image: _ask(http, image), images))
        metrics = http.get("/metrics").text
    assert [answer.status_code for answer in answers] == [200] * 5 + [415] + [200] * 18
    for image, answer in zip(images, answers, strict=True):
        if answer.status_code == 200:
            expected = predictor.read(image).shares
            assert [*answer.json()["probabilities"].values()] == pytest.approx(expected, abs=1e-6)
    assert "medloop_model_batch_images_sum 23.0" in metrics


def _ask(http: httpx.Client, image: bytes) -> httpx.Response:
    return http.post("/predict", files={"image": image})

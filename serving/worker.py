"""What one worker process runs: models, the threads that ask them, and what is written down.

BentoML's supervisor imports `serving.service` and not this module: it needs no OpenVINO.
"""

import logging
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from http import HTTPStatus
from pathlib import Path

import bentoml

from pipelines import tether
from pipelines.errors import BadImage
from pipelines.jobs.table import Jobs
from pipelines.release.predictor import open_predictor
from pipelines.settings import Settings, get_settings
from pipelines.stage import default_context
from serving import compat
from serving.access.exposure import certificate_of
from serving.access.permissions import guard_of
from serving.app import attach, build_app
from serving.batching import Batcher
from serving.bento import Arguments
from serving.champions import Champions, WorkerNotes
from serving.context import Problem, RequestContext
from serving.executor import InferenceExecutor
from serving.follower import Follower
from serving.image_request import Backend, FieldsT, ImageRequest
from serving.metrics import count_answer
from serving.predictions import classify, draw, reason
from serving.records import Observer
from serving.records.sampler import Sampler
from serving.refusals import status_of
from serving.schemas import ExplainFields, Explanation, OverlayFields, PredictFields, Prediction
from serving.second_port import SecondPort
from serving.uploads import Limits, Upload

logger = logging.getLogger(__name__)

guard = guard_of(get_settings(), tokens=bentoml.use_arguments(Arguments).auth == "tokens")
app = build_app(guard)


class Worker:
    """Loads what served last, then follows the champion in the background.

    Args:
        arguments: of the service.
        bundles: serve these and ask no registry; none: follow it.
    """

    def __init__(self, arguments: Arguments, bundles: Sequence[Path]) -> None:
        logging.getLogger("serving").setLevel(logging.INFO)
        # says every retry while MLflow is away; the follower says it once
        logging.getLogger("urllib3.connectionpool").setLevel(logging.ERROR)
        _end_with_parent()
        guard.audit.start()
        load = partial(
            open_predictor,
            runtime=arguments.runtime,
            cache=get_settings().cache,
            threads=arguments.threads,
            goal=get_settings().service_tuning,
        )
        self._executor = InferenceExecutor(
            arguments.threads, wait_seconds=get_settings().service_wait_seconds
        )
        self._follower: Follower | None = None
        standing = WorkerNotes(get_settings().home / "service" / "workers")
        if bundles:
            champions = Champions("pinned", standing=standing)
            for bundle in bundles:
                champions.take(load(bundle))
        else:
            champions = Champions(standing=standing)
            self._follower = Follower(champions, default_context(), load=load)
            self._follower.restore()
            self._follower.start()
        observers: list[Observer] = [count_answer, guard.audit.note_answer]
        self._sampler: Sampler | None = None
        # a pinned bundle is a trial: what it is asked is no sample of what is seen in practice
        if self._follower and get_settings().service_sample_share:
            self._sampler = Sampler.of(get_settings(), default_context().store)
            self._sampler.start()
            observers.append(self._sampler.note)
        self._batcher = None
        if get_settings().service_batching == "adaptive":
            wait_seconds = get_settings().service_wait_seconds
            self._batcher = Batcher(self._executor, wait_seconds=wait_seconds)
        backend = self.backend = Backend(
            champions,
            self._executor,
            Limits(read_seconds=get_settings().service_read_seconds),
            observers=tuple(observers),
            legacy_dataset=get_settings().classic_dataset,
            note_upload=guard.audit.note_upload,
            batcher=self._batcher,
            jobs=Jobs(get_settings()) if get_settings().queue else None,
        )
        attach(app, backend)
        self._second_port = _second_port(backend, arguments.host, get_settings())

    async def predict(self, image: Path, fields: PredictFields) -> Prediction:
        """The answer of ``/predict`` in this process.

        Raises:
            BentoMLException: it is refused; carries the HTTP status and the message.
        """
        with _refusing():
            return await classify(self._image_request("/predict", image, fields))

    async def gradcam(self, image: Path, fields: OverlayFields) -> bytes:
        """The same of ``/gradcam``."""
        with _refusing():
            return (await draw(self._image_request("/gradcam", image, fields)))[-1]

    async def explain(self, image: Path, fields: ExplainFields) -> Explanation:
        """The same of ``/explain``."""
        with _refusing():
            return await reason(self._image_request("/explain", image, fields))

    async def listen(self) -> None:
        """Listen at the second port too, if there is one."""
        if self._second_port:
            await self._second_port.start()

    async def close(self) -> None:
        """Stop following; requests in flight at the main port have ended by now."""
        if self._second_port:
            await self._second_port.stop()
        if self._follower:
            self._follower.stop()
        if self._batcher:
            self._batcher.close()
        self._executor.close()
        if self.backend.jobs:
            await self.backend.jobs.close()
        if self._sampler:
            self._sampler.stop()
        guard.audit.stop()

    def _image_request(self, route: str, image: Path, fields: FieldsT) -> ImageRequest[FieldsT]:
        upload = Upload((image.read_bytes(),), {}, (image.name,))
        return ImageRequest(self.backend, RequestContext(), upload, fields, route)


def _second_port(backend: Backend, host: str, settings: Settings) -> SecondPort | None:
    if settings.classic_port is None:
        return None
    return SecondPort(
        build_app(guard, backend, routers=[compat.router]),
        host=host,
        port=settings.classic_port,
        certificate=certificate_of(settings),
    )


@contextmanager
def _refusing() -> Iterator[None]:
    """Tell BentoML why an API method that is called in this process gives no answer.

    Raises:
        BentoMLException: carries the HTTP status and the message.
    """
    try:
        yield
    except (Problem, BadImage) as error:
        status = HTTPStatus(status_of(error))
        raise bentoml.exceptions.BentoMLException(str(error), error_code=status) from error


def _end_with_parent() -> None:
    """End with the process that started this one, so that a killed service frees its port.

    Only where this process is a worker of BentoML's supervisor.
    """
    if bentoml.server_context.worker_index is not None:
        tether.end_with(os.getppid())

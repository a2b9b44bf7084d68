"""The BentoML service: one process that answers for every data set with a champion.

python -m serving            (or: bentoml serve serving.service:MedloopService)

BentoML runs it and knows its API methods from ``/schema.json``. What its clients send is answered
by the application of `serving.app`, as every other request is (`Front`): BentoML's own routes would
write uploads to disk, know no limits and refuse in another shape.
"""

import logging
import os
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from http import HTTPStatus
from pathlib import Path
from typing import Annotated, Any

import bentoml
from bentoml.validators import ContentType
from fastapi import FastAPI
from starlette.types import ASGIApp, Receive, Scope, Send

from pipelines.errors import BadImage
from pipelines.evaluation.overlay import OPACITY
from pipelines.release.predictor import open_predictor
from pipelines.settings import Settings, get_settings
from pipelines.stage import default_context
from serving import classic, connections
from serving.access.exposure import certificate_of
from serving.access.permissions import guard_of
from serving.app import attach, build_app
from serving.asked import Asked, Backend, FieldsT
from serving.bento import NAME, Arguments, InstalledImage, PinnedChampions, pinned_bundles
from serving.champions import Champions, WorkerNotes
from serving.classic_listener import ClassicListener
from serving.context import Problem, RequestContext
from serving.executor import InferenceExecutor
from serving.follower import Follower
from serving.metrics import count_answer
from serving.observed import Observer
from serving.predictions import classify, draw, reason
from serving.records.sampler import Sampler
from serving.refusals import status_of
from serving.schemas import ExplainFields, Explanation, OverlayFields, PredictFields, Prediction
from serving.uploads import Limits, Upload

logger = logging.getLogger(__name__)

arguments = bentoml.use_arguments(Arguments)
guard = guard_of(get_settings(), tokens=arguments.auth == "tokens")
app = build_app(guard)
connections.install(
    connections.Patience(
        header_seconds=get_settings().service_header_seconds,
        write_seconds=get_settings().service_write_seconds,
        stop_seconds=get_settings().service_stop_seconds,
        connections=get_settings().service_connections,
    ),
    note=guard.audit.note_early,
)


LEAN: dict[str, Any] = {
    "metrics": {"enabled": False},
    "logging": {"access": {"enabled": False}},
    "tracing": {"excluded_urls": ".*"},
}
"""What BentoML would do around every request costs as much as the rest of the service besides
decoding and inference, and its metrics keep a row for every path that anyone asks for. The
service counts and keeps its audit log itself."""


BEHIND = 60
"""Seconds by which BentoML's own limit lies behind ours (`serving.middleware`), so that it never
strikes: it answers around our application, and lets go of work that goes on."""
CHECK_SECONDS = 1.0


@bentoml.service(
    name="medloop",
    image=InstalledImage(),
    workers=arguments.workers,
    traffic={"timeout": get_settings().service_answer_seconds + BEHIND},
    **LEAN,
)
class MedloopService:
    """Loads what served last, then follows the champion in the background.

    A Bento, and a service with a pinned bundle, answer with what they hold.
    """

    champions = PinnedChampions(NAME)

    def __init__(self) -> None:
        logging.getLogger("serving").setLevel(logging.INFO)
        # says every retry while MLflow is away; the follower says it once
        logging.getLogger("urllib3.connectionpool").setLevel(logging.ERROR)
        end_with_parent()
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
        if bundles := _bundles():
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
        self._backend = Backend(
            champions,
            self._executor,
            Limits(read_seconds=get_settings().service_read_seconds),
            observers=tuple(observers),
            classic_dataset=get_settings().classic_dataset,
            note_upload=guard.audit.note_upload,
        )
        attach(app, self._backend)
        self._classic = _classic_listener(self._backend, arguments.host, get_settings())

    @bentoml.api  # type: ignore[untyped-decorator]
    async def predict(self, image: Path, dataset: str | None = None) -> Prediction:
        """Classify one image."""
        with refusing():
            return await classify(self._asked("/predict", image, PredictFields(dataset=dataset)))

    @bentoml.api  # type: ignore[untyped-decorator]
    async def gradcam(
        self,
        image: Path,
        dataset: str | None = None,
        target: str | None = None,
        opacity: float = OPACITY,
    ) -> Annotated[bytes, ContentType("image/png")]:
        """Draw where the model looked, over the image in its own proportions."""
        fields = OverlayFields(dataset=dataset, target=target, opacity=opacity)
        with refusing():
            return (await draw(self._asked("/gradcam", image, fields)))[-1]

    @bentoml.api  # type: ignore[untyped-decorator]
    async def explain(
        self,
        image: Path,
        dataset: str | None = None,
        target: str | None = None,
        opacity: float = OPACITY,
        original: bool = False,
    ) -> Explanation:
        """Classify one image and say why: overlay and educational text in one answer."""
        fields = ExplainFields(dataset=dataset, target=target, opacity=opacity, original=original)
        with refusing():
            return await reason(self._asked("/explain", image, fields))

    def _asked(self, route: str, image: Path, fields: FieldsT) -> Asked[FieldsT]:
        upload = Upload((image.read_bytes(),), {}, (image.name,))
        return Asked(self._backend, RequestContext(), upload, fields, route)

    @bentoml.on_startup  # type: ignore[untyped-decorator]
    async def listen(self) -> None:
        """Listen for classic clients too, if that is set."""
        if self._classic:
            await self._classic.start()

    @bentoml.on_shutdown  # type: ignore[untyped-decorator]
    async def close(self) -> None:
        """Stop following; requests in flight at the main port have ended by now."""
        if self._classic:
            await self._classic.stop()
        if self._follower:
            self._follower.stop()
        self._executor.close()
        if self._sampler:
            self._sampler.stop()
        guard.audit.stop()


def _bundles() -> list[Path]:
    """Those that were built in or named; none where the registry is followed."""
    bento = MedloopService.bento  # type: ignore[attr-defined]
    if bento:
        return pinned_bundles(bento)
    return [arguments.bundle] if arguments.bundle else []


def _classic_listener(backend: Backend, host: str, settings: Settings) -> ClassicListener | None:
    if settings.classic_port is None:
        return None
    return ClassicListener(
        build_app(guard, backend, routers=[classic.router]),
        host=host,
        port=settings.classic_port,
        certificate=certificate_of(settings),
    )


@contextmanager
def refusing() -> Iterator[None]:
    """Tell BentoML why an API method that is called in this process gives no answer.

    Raises:
        BentoMLException: carries the HTTP status and the message.
    """
    try:
        yield
    except (Problem, BadImage) as error:
        status = HTTPStatus(status_of(error))
        raise bentoml.exceptions.BentoMLException(str(error), error_code=status) from error


def end_with_parent() -> None:
    """End with the process that started this one, so that a killed service frees its port.

    Watches it from a thread, if this process is a worker of BentoML's supervisor.
    """
    if bentoml.server_context.worker_index is not None:
        threading.Thread(target=_watch, args=(os.getppid(),), name="parent", daemon=True).start()


def _watch(parent: int) -> None:
    while os.getppid() == parent:
        time.sleep(CHECK_SECONDS)
    logger.warning("The supervising process is gone; this worker ends too")
    os.kill(os.getpid(), signal.SIGTERM)


@dataclass(frozen=True)
class Front:
    """ASGI middleware that lets our application answer every request, and BentoML's only what
    `serving.app` hands on to it."""

    bentoml: ASGIApp
    app: FastAPI

    def __post_init__(self) -> None:
        self.app.state.bentoml = self.bentoml

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request; BentoML starts and stops."""
        is_lifespan = scope["type"] == "lifespan"
        await (self.bentoml if is_lifespan else self.app)(scope, receive, send)


MedloopService.add_asgi_middleware(Front, app=app)  # type: ignore[attr-defined]

"""The BentoML service: one process that answers for every data set with a champion.

python -m serving            (or: bentoml serve serving.service:MedloopService)

BentoML's clients learn the three API methods from ``/schema.json``. What they send is answered by
the routes of `serving.app`, as every other request is (`ApiRoutes`).
"""

import logging
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import bentoml
from bentoml.validators import ContentType

from pipelines.evaluation.overlay import OPACITY
from pipelines.release.predictor import open_predictor
from pipelines.settings import Settings, get_settings
from pipelines.stage import default_context
from serving import connections
from serving.access.exposure import certificate_of
from serving.access.gate import gated, guard_of
from serving.api_routes import ApiRoutes, ask
from serving.app import build_app
from serving.bento import NAME, Arguments, InstalledImage, PinnedChampions, pinned_bundles
from serving.champions import Champions
from serving.classic.listener import ClassicListener, only_classic
from serving.counters import count_answer
from serving.desk import Desk
from serving.endpoints import Backend
from serving.follower import Follower
from serving.limits import Limits
from serving.observed import Observer
from serving.records.sampler import Sampler
from serving.schemas import Explanation, Prediction
from serving.standing import Standing
from serving.supervised import end_with_parent

arguments = bentoml.use_arguments(Arguments)
routes = build_app()
guard = guard_of(get_settings(), tokens=arguments.auth == "tokens")
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
"""Seconds by which BentoML's own limit lies behind ours (`serving.access.envelope`), so that it
never strikes: it answers around the gate, and lets go of work that goes on."""


@bentoml.service(
    name="medloop",
    image=InstalledImage(),
    workers=arguments.workers,
    traffic={"timeout": get_settings().service_answer_seconds + BEHIND},
    **LEAN,
)
@bentoml.asgi_app(routes, path="/")
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
        self._desk = Desk(arguments.threads, wait_seconds=get_settings().service_wait_seconds)
        self._follower: Follower | None = None
        standing = Standing(get_settings().home / "service" / "workers")
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
        self._classic = _classic_listener(arguments.host, get_settings())
        self._sampler: Sampler | None = None
        # a pinned bundle is a trial: what it is asked is no sample of what is seen in practice
        if self._follower and get_settings().service_sample_share:
            self._sampler = Sampler.of(get_settings(), default_context().store)
            self._sampler.start()
            observers.append(self._sampler.note)
        routes.attach(
            Backend(
                champions,
                self._desk,
                Limits(read_seconds=get_settings().service_read_seconds),
                observers=tuple(observers),
                classic_dataset=get_settings().classic_dataset,
                note_upload=guard.audit.note_upload,
            )
        )

    @bentoml.api  # type: ignore[untyped-decorator]
    async def predict(self, image: Path, dataset: str | None = None) -> Prediction:
        """Classify one image."""
        reply = await ask(routes, "/predict", image, dataset=dataset)
        return Prediction.model_validate_json(reply.content)

    @bentoml.api  # type: ignore[untyped-decorator]
    async def gradcam(
        self,
        image: Path,
        dataset: str | None = None,
        target: str | None = None,
        opacity: float = OPACITY,
    ) -> Annotated[bytes, ContentType("image/png")]:
        """Draw where the model looked, over the image in its own proportions."""
        fields = {"dataset": dataset, "target": target, "opacity": opacity}
        return (await ask(routes, "/gradcam", image, **fields)).content

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
        fields = {"dataset": dataset, "target": target, "opacity": opacity, "original": original}
        reply = await ask(routes, "/explain", image, **fields)
        return Explanation.model_validate_json(reply.content)

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
        self._desk.close()
        if self._sampler:
            self._sampler.stop()
        guard.audit.stop()


def _bundles() -> list[Path]:
    """Those that were built in or named; none where the registry is followed."""
    bento = MedloopService.bento  # type: ignore[attr-defined]
    if bento:
        return pinned_bundles(bento)
    return [arguments.bundle] if arguments.bundle else []


def _classic_listener(host: str, settings: Settings) -> ClassicListener | None:
    if settings.classic_port is None:
        return None
    return ClassicListener(
        gated(only_classic(routes), guard),
        host=host,
        port=settings.classic_port,
        certificate=certificate_of(settings),
    )


MedloopService.add_asgi_middleware(gated, guard=guard)  # type: ignore[attr-defined]
MedloopService.add_asgi_middleware(  # type: ignore[attr-defined]
    ApiRoutes, routes=routes, paths=frozenset({"/predict", "/gradcam", "/explain"})
)

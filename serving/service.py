"""The BentoML service: one process that answers for every data set with a champion.

python -m serving            (or: bentoml serve serving.service:MedloopService)

BentoML runs it (`serving.worker` in each worker process) and knows its API methods from
``/schema.json``. What its clients send is answered by the application of `serving.app`, as every
other request is (`Front`): BentoML's own routes would write uploads to disk, know no limits and
refuse in another shape.
"""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import bentoml
from bentoml.validators import ContentType
from starlette.types import ASGIApp, Receive, Scope, Send

from pipelines.evaluation.overlay import OPACITY
from pipelines.settings import get_settings
from serving import connections
from serving.bento import NAME, Arguments, InstalledImage, PinnedChampions, pinned_bundles
from serving.schemas import ExplainFields, Explanation, OverlayFields, PredictFields, Prediction

if TYPE_CHECKING:
    from serving.worker import Worker

arguments = bentoml.use_arguments(Arguments)
connections.install(
    connections.Timeouts(
        header_seconds=get_settings().service_header_seconds,
        write_seconds=get_settings().service_write_seconds,
        stop_seconds=get_settings().service_stop_seconds,
        connections=get_settings().service_connections,
    )
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

    _worker: "Worker"

    def __init__(self) -> None:
        from serving.worker import Worker  # inference, which the supervisor does without

        self._worker = Worker(arguments, _bundles())

    @bentoml.api  # type: ignore[untyped-decorator]
    async def predict(self, image: Path, dataset: str | None = None) -> Prediction:
        """Classify one image."""
        return await self._worker.predict(image, PredictFields(dataset=dataset))

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
        return await self._worker.gradcam(image, fields)

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
        return await self._worker.explain(image, fields)

    @bentoml.on_startup  # type: ignore[untyped-decorator]
    async def listen(self) -> None:
        """Listen at the second port too, if there is one."""
        await self._worker.listen()

    @bentoml.on_shutdown  # type: ignore[untyped-decorator]
    async def close(self) -> None:
        """Stop following; requests in flight at the main port have ended by now."""
        await self._worker.close()


def _bundles() -> list[Path]:
    """Those that were built in or named; none where the registry is followed."""
    bento = MedloopService.bento  # type: ignore[attr-defined]
    if bento:
        return pinned_bundles(bento)
    return [arguments.bundle] if arguments.bundle else []


class Front:
    """ASGI middleware that lets our application answer every request, and BentoML's only what
    `serving.app` hands on to it.

    Args:
        app: BentoML's.
    """

    def __init__(self, app: ASGIApp) -> None:
        from serving.worker import app as ours

        ours.state.bentoml = self._bentoml = app
        self._ours = ours

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request; BentoML starts and stops."""
        is_lifespan = scope["type"] == "lifespan"
        await (self._bentoml if is_lifespan else self._ours)(scope, receive, send)


MedloopService.add_asgi_middleware(Front)  # type: ignore[attr-defined]

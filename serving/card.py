"""The model card of what serves, as the loop drew it: one page with everything inside."""

from anyio import to_thread
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response

from pipelines.release.card.beside import beside
from pipelines.release.predictor import Predictor
from serving.endpoints import backend_of
from serving.problems import Problem

HEADERS = {
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; img-src data:; "
    "frame-ancestors 'none'; form-action 'none'; base-uri 'none'",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-cache",
}
"""The page brings its style and pictures along and asks for nothing else."""


async def card(request: Request) -> Response:
    """The model card of the version that answers: for whom, how good, and what is not known."""
    dataset = request.query_params.get("dataset")
    predictor = backend_of(request).champions.choose(dataset)
    return HTMLResponse(await to_thread.run_sync(_read, predictor), headers=HEADERS)


def _read(predictor: Predictor) -> bytes:
    try:
        return beside(predictor.bundle.folder).read_bytes()
    except FileNotFoundError as error:
        dataset, version = predictor.dataset, predictor.version
        raise Problem(
            404,
            "no_card",
            f"There is no model card of {dataset}, version {version}, here: no gate has judged it, "
            f"or it was fetched before cards were kept. Run `medloop select {dataset}`, then "
            f"`medloop promote {dataset}`.",
        ) from error

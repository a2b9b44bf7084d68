"""Where cards are kept: among the artifacts of the version's run, and in short on its page."""

import shutil
import tempfile
from pathlib import Path

from pipelines.documents import html, markdown
from pipelines.errors import NotFound
from pipelines.evaluation.record import PAGE
from pipelines.outputs import Prepared
from pipelines.release.card import page
from pipelines.release.card.beside import CARD_PAGE
from pipelines.release.card.known import gather
from pipelines.release.report import Judgement, place
from pipelines.spec import DatasetSpec
from pipelines.stage import Context
from pipelines.tracking import versions
from pipelines.tracking.client import Tracking, open_tracking
from pipelines.tracking.versions import Registered

CARD = "card.md"


def publish(
    spec: DatasetSpec, context: Context, *, prepared: Prepared, judgement: Judgement
) -> None:
    """Draw the card of a version that the gate has judged, and keep it.

    Raises:
        NotFound: there is no such version, or its run was not evaluated.
        TrackingUnavailable: MLflow does not answer.
        StoreUnavailable: the store does not answer.
    """
    tracking = open_tracking(context.settings)
    registered = versions.named(tracking, spec.name, judgement.verdict.version)
    known = gather(spec, context, registered, prepared=prepared, judgement=judgement)
    card, run_id = page.document(known), registered.run_id
    tracking.upload_text(run_id, place(registered.version, CARD_PAGE), html.page(card))
    tracking.upload_text(run_id, place(registered.version, CARD), markdown.text(card))
    versions.describe(tracking, spec.name, registered.version, about=page.short(known))


def read(context: Context, dataset: str, version: int | None = None) -> str:
    """The card of a version, as Markdown.

    Args:
        context: settings.
        dataset: the registered model's name.
        version: which; the champion if ``None``.

    Raises:
        NotFound: there is no such version, or no champion, or the gate has not judged it.
        TrackingUnavailable: MLflow does not answer.
    """
    tracking = open_tracking(context.settings)
    chosen = _chosen(tracking, dataset, version)
    file = place(chosen.version, CARD)
    _require_card(tracking, chosen, file)
    with tempfile.TemporaryDirectory(prefix="medloop-") as folder:
        return tracking.download(chosen.run_id, file, target=Path(folder)).read_text("utf-8")


def fetch_pages(
    context: Context, dataset: str, version: int | None = None, *, target: Path
) -> list[Path]:
    """Copy the evaluation report and the card of a version into a folder, as HTML.

    Args:
        context: settings.
        dataset: the registered model's name.
        version: which; the champion if ``None``.
        target: the folder; files of the same version in it are replaced.

    Returns:
        The two files: ``<dataset>-v<version>-{evaluation,card}.html``.

    Raises:
        NotFound: there is no such version, or no champion, or the gate has not judged it.
        TrackingUnavailable: MLflow does not answer.
    """
    tracking = open_tracking(context.settings)
    chosen = _chosen(tracking, dataset, version)
    pages = {"evaluation": PAGE, "card": place(chosen.version, CARD_PAGE)}
    _require_card(tracking, chosen, pages["card"])
    target.mkdir(parents=True, exist_ok=True)
    made = []
    with tempfile.TemporaryDirectory(prefix="medloop-") as folder:
        for what, artifact in pages.items():
            local = tracking.download(chosen.run_id, artifact, target=Path(folder))
            file = target / f"{dataset}-v{chosen.version}-{what}.html"
            made.append(Path(shutil.copyfile(local, file)))
    return made


def _chosen(tracking: Tracking, dataset: str, version: int | None) -> Registered:
    if version is not None:
        return versions.named(tracking, dataset, version)
    champion = versions.holder(tracking, dataset, "champion")
    if champion is None:
        raise NotFound(f"{dataset} has no champion yet: name a version.")
    return champion


def _require_card(tracking: Tracking, chosen: Registered, file: str) -> None:
    if not tracking.has_artifact(chosen.run_id, file):
        raise NotFound(
            f"Version {chosen.version} of {chosen.dataset} has no model card: it was judged by an "
            f"older Medloop, or not at all. Run `medloop select {chosen.dataset}`."
        )

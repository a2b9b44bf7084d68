"""The certificate of an erasure: what was removed, what remains and why; JSON and a page.

It is kept in the store, ``<dataset>/erasures/<id>/``, and names no image and no patient.
"""

from datetime import UTC, datetime

from pydantic import BaseModel, ConfigDict

from pipelines.data.land.pseudonyms import CERTIFICATE, FOLDER
from pipelines.documents import html
from pipelines.documents.document import Document, Grid, Section, Text
from pipelines.erasure.journal import Entry, Kind, Removed
from pipelines.erasure.lineage import Remaining
from pipelines.storage import Store

PAGE = "certificate.html"
ASKED: dict[Kind, str] = {
    "patient": "all images of one patient or lesion",
    "image": "one image, by its hash",
    "file": "one image, by its file",
}


class Certificate(BaseModel):
    """What became of an erasure."""

    model_config = ConfigDict(frozen=True)

    id: str
    dataset: str
    began: datetime
    ended: datetime
    by: str
    reason: str
    asked: Kind
    images: int
    removed: tuple[Removed, ...]
    remaining: tuple[Remaining, ...]
    retrain: str | None
    """The command that trains a model that has not seen them; ``None`` if none has."""
    refused: tuple[str, ...]
    """Keyed hashes of the images: see `pipelines.data.land.pseudonyms`."""

    @property
    def path(self) -> str:
        """Its folder in the store."""
        return f"{self.dataset}/{FOLDER}/{self.id}"


def certify(entry: Entry, remaining: list[Remaining], *, retrain: str | None) -> Certificate:
    """The certificate of an erasure that has just ended."""
    return Certificate(
        id=entry.id,
        dataset=entry.dataset,
        began=entry.began,
        ended=datetime.now(UTC),
        by=entry.by,
        reason=entry.reason,
        asked=entry.asked,
        images=entry.images,
        removed=_summed(entry.removed),
        remaining=tuple(remaining),
        retrain=retrain,
        refused=entry.refused,
    )


def keep(store: Store, certificate: Certificate) -> None:
    """Write it to the store.

    Raises:
        StoreUnavailable: the store does not answer.
    """
    with store.commit(certificate.path) as staging:
        store.write(f"{staging}/{PAGE}", page(certificate).encode())
        store.write_json(f"{staging}/{CERTIFICATE}", certificate.model_dump(mode="json"))


def page(certificate: Certificate) -> str:
    """The certificate as an HTML file."""
    one = certificate
    began, ended = (f"{when:%Y-%m-%d %H:%M:%S} UTC" for when in (one.began, one.ended))
    facts = (
        ("data set", one.dataset),
        ("images erased", one.images),
        ("asked for", ASKED[one.asked]),
        ("reason", one.reason),
        ("by", one.by),
        ("began", began),
        ("ended", ended),
    )
    removed = tuple((r.what, r.how, r.count, r.place) for r in one.removed)
    remaining = tuple((r.what, r.why) for r in one.remaining)
    sections = [
        Section(
            "What was removed",
            (Grid("By place", ("what", "how", "number", "where"), removed),),
        ),
        Section("What remains, and why", (Grid("By kind", ("what", "why"), remaining),)),
    ]
    if one.retrain:
        text = (
            f"Models have learned from these images. `{one.retrain}` trains one that has not. "
            "Versions that have can be deleted in MLflow once they no longer serve."
        )
        sections.append(Section("What to do next", (Text(text),)))
    lead = (
        Text(
            f"Medloop has removed {one.images:,} images from everything that it keeps of "
            f"{one.dataset}. This certificate names no image and no patient."
        ),
        Grid("The erasure", ("", ""), facts),
    )
    title = f"Certificate of erasure {one.id}"
    return html.page(Document(title, lead=lead, sections=tuple(sections)))


def _summed(removed: tuple[Removed, ...]) -> tuple[Removed, ...]:
    """One line for each place, however often the erasure was taken up again."""
    counts: dict[tuple[str, str, str], int] = {}
    for one in removed:
        key = (one.what, one.place, one.how)
        counts[key] = max(counts.get(key, 0), one.count)
    return tuple(Removed(what=w, place=p, how=h, count=n) for (w, p, h), n in counts.items())

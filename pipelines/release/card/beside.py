"""The card of a version beside its bundle, so that whoever serves the bundle can show it offline.

It is not inside, as a bundle is sealed before the gate judges it and the card says how that went.
"""

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pipelines.tracking.client import Tracking
    from pipelines.tracking.versions import Registered

CARD_PAGE = "card.html"


def beside(bundle: Path) -> Path:
    """Where the card of a bundle's version stands, if it has one."""
    return bundle.with_name(f"{bundle.name}.{CARD_PAGE}")


def fetch(tracking: "Tracking", registered: "Registered", bundle: Path) -> None:
    """Put the card of a version beside its bundle, in place of an older one.

    A version that no gate has judged has none, and none is put there.

    Raises:
        TrackingUnavailable: MLflow does not answer.
    """
    from pipelines.release.report import place  # takes seconds to import

    artifact = place(registered.version, CARD_PAGE)
    if not tracking.has_artifact(registered.run_id, artifact):
        return
    with tempfile.TemporaryDirectory(prefix=".card-", dir=bundle.parent) as folder:
        local = tracking.download(registered.run_id, artifact, target=Path(folder))
        local.replace(beside(bundle))

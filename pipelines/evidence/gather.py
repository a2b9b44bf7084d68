"""Every kind of evidence on a candidate, one after another."""

import logging
import time
from collections.abc import Callable
from pathlib import Path

import pipelines.evidence
from pipelines.evidence import (
    abstention,
    attention,
    benefit,
    external,
    labels,
    leaks,
    mistakes,
    shortcuts,
    sources,
    subgroups,
    test_uses,
    thresholds,
)
from pipelines.evidence.finding import Finding
from pipelines.evidence.subject import NoNetwork, Subject
from pipelines.stage import code_version, modules_of

logger = logging.getLogger(__name__)

Kind = Callable[[Subject, Path], Finding | None]
"""Takes what is judged, and a folder to draw into (``<picture>.png``); ``None`` where it does not
apply, as where no masks came with the images. A kind that asks for the network of a candidate that
has none is left out too."""

KINDS: dict[str, Kind] = {
    "leaks": leaks.look,
    "sources": sources.look,
    "shortcuts": shortcuts.look,
    "attention": attention.look,
    "mistakes": mistakes.look,
    "labels": labels.look,
    "thresholds": thresholds.look,
    "benefit": benefit.look,
    "abstention": abstention.look,
    "subgroups": subgroups.look,
    "external": external.look,
    "test_uses": test_uses.look,
}
"""In the order of the report."""


def gather(subject: Subject, folder: Path) -> dict[str, Finding]:
    """Look at a candidate in every way there is.

    Args:
        subject: the candidate and its images.
        folder: where pictures go.

    Returns:
        Kind → what it came to; kinds that do not apply are left out.
    """
    found = {}
    for name, look in KINDS.items():
        began = time.monotonic()
        try:
            finding = look(subject, folder)
        except NoNetwork as error:
            logger.info("evidence: %s does not apply: %s", name, error)
            continue
        logger.info("evidence: %s took %.1f s", name, time.monotonic() - began)
        if finding is not None:
            found[name] = finding
    return found


def code() -> str:
    """What decides what is found."""
    return code_version(*modules_of(pipelines.evidence))

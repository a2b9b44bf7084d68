"""Images that were erased: the same bytes are refused when they land again.

The store keeps a keyed hash of each, in the certificate of its erasure
(``<dataset>/erasures/<id>/certificate.json``): it tells a file that comes again, and nothing to
anybody without the key of this installation (`pipelines.data.land.pseudonyms`).
"""

from collections.abc import Iterable
from dataclasses import dataclass

from pipelines.data.land.pseudonyms import Pseudonyms, load_pseudonyms
from pipelines.stage import Context

FOLDER = "erasures"
CERTIFICATE = "certificate.json"
ERASED = "erased"
"""Reason of a file whose image was erased."""
MESSAGE = (
    "This image was erased, so it does not come in again. Remove the file from the landing folder "
    "(medloop locate tells its name)."
)


def keyed(names: Pseudonyms, value: str) -> str:
    """What is kept of a hash or a path: without the key nobody can tell whose it is."""
    return names.of("erased", value)


@dataclass(frozen=True)
class Erased:
    """The images of a data set that were erased."""

    names: Pseudonyms
    hashes: frozenset[str]
    """Keyed."""

    def has(self, sha256s: Iterable[str | None]) -> bool:
        """Whether one of these hashes, of an original or a file as it landed, was erased."""
        return bool(self.hashes) and any(
            keyed(self.names, one) in self.hashes for one in sha256s if one
        )


def erased(context: Context, dataset: str) -> Erased:
    """What was erased of a data set.

    Raises:
        StoreUnavailable: the store does not answer.
    """
    folder = f"{dataset}/{FOLDER}"
    found: set[str] = set()
    for name in context.store.names(folder):
        found |= set(context.store.read_json(f"{folder}/{name}/{CERTIFICATE}")["refused"])
    return Erased(load_pseudonyms(context.settings), frozenset(found))

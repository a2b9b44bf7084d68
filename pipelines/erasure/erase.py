"""Find images, remove them from everything, certify it."""

import getpass
import hashlib
import logging
import secrets
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from pipelines.audit.entries import ErasedEntry, note_erasure
from pipelines.data.folders import landing_location, open_folder
from pipelines.data.land.originals import LandedFiles
from pipelines.data.land.pseudonyms import Pseudonyms, keyed, load_pseudonyms
from pipelines.erasing import erasing, journal_file
from pipelines.erasure import certificate, lineage, manifests, queued, stored, traces
from pipelines.erasure.bundles import local_pieces
from pipelines.erasure.certificate import Certificate
from pipelines.erasure.home import Home
from pipelines.erasure.journal import Entry, Journal, Kind, Removed
from pipelines.erasure.piece import Piece
from pipelines.erasure.traces import Traces, Wanted
from pipelines.erasure.tracked import Tracked
from pipelines.errors import BadImage, LandingError, NotFound, Unavailable
from pipelines.retention.turn import turn
from pipelines.spec import DatasetSpec
from pipelines.stage import Context
from pipelines.tracking.client import open_tracking

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Asked:
    """Which images to erase, and why.

    Args:
        kind: how they are named.
        value: the patient's ID, the image's sha256 or the file's path.
        reason: for the certificate and the audit log; without names.
    """

    kind: Kind
    value: str
    reason: str


@dataclass(frozen=True)
class Plan:
    """What an erasure changes."""

    images: int
    pieces: Sequence[Piece]
    landed: Sequence[str]
    """Files that are still in a landing folder, as paths of the store's records."""


class Erasure:
    """The erasure of some images of a data set; `plan` it, then `run` it.

    Args:
        spec: the data set.
        context: settings and store.
        asked: which images; ``None`` to go on with an erasure that was cut short.
        mlflow: whether MLflow is looked into; where not, the certificate says so.

    Raises:
        NotFound: nothing was cut short.
        Unavailable: something was, and must be finished first.
    """

    def __init__(
        self, spec: DatasetSpec, context: Context, asked: Asked | None, *, mlflow: bool = True
    ) -> None:
        self._spec = spec
        self._context = context
        self._asked = asked
        self._tracking = open_tracking(context.settings) if mlflow else None
        self._names = load_pseudonyms(context.settings)
        self._journal = Journal.read(journal_file(context.settings, spec.name))
        if asked is None and self._journal is None:
            raise NotFound(f"No erasure of images of {spec.name} was cut short: name the images.")
        if asked is not None and self._journal is not None:
            raise Unavailable(
                f"An erasure of images of {spec.name} was cut short. Finish it first: "
                f"medloop erase {spec.name} --resume"
            )

    def plan(self) -> Plan:
        """What would be changed.

        Raises:
            NotFound: the data set has no such image.
            StoreUnavailable: the store does not answer.
        """
        found = self._found()
        return Plan(self._images(found), self._pieces(found, None), self._landed(found))

    def run(self, *, leave_landed: bool = False) -> Certificate:
        """Remove the images, and certify it.

        Killed at any point, it goes on where it stopped when it is run again without ``asked``;
        until then, no step of the data set begins.

        Args:
            leave_landed: also if the files are still in a landing folder. They are not removed
                there, as Medloop never writes it, and are refused when they are landed again.

        Raises:
            NotFound: the data set has no such image.
            LandingError: the files are still in a landing folder.
            StoreUnavailable: the store does not answer.
            TrackingUnavailable: MLflow does not answer.
            Unavailable: a step of the loop runs.
        """
        settings, store = self._context.settings, self._context.store
        with erasing(settings), turn(settings):
            store.require_layout()
            found = self._found()
            if (still := self._landed(found)) and not leave_landed:
                raise LandingError(self._is_still_there(still))
            journal = self._begun(found)
            stored.mend(store, found, journal)
            pieces = self._pieces(found, journal)  # asks store and MLflow: before it is begun
            journal.write()
            for piece in sorted(pieces, key=lambda one: one.order):
                logger.info("%s: %s, %d %s", piece.place, piece.what, piece.count, piece.how)
                # before: what is removed and not noted would be missing in the certificate
                journal.note(
                    Removed(**{name: getattr(piece, name) for name in Removed.model_fields})
                )
                piece.remove()
            manifests.count_again(store, self._spec.name)
            done = self._certified(journal.entry)
            certificate.keep(store, done)
            note_erasure(settings, _audited(done))
            journal.close()
        return done

    def _found(self) -> Traces:
        store, dataset = self._context.store, self._spec.name
        wanted = self._wanted()
        found = traces.find(store, dataset, wanted, self._names)
        jobs = queued.known(self._context.settings, wanted, self._names)
        found = replace(found, originals=found.originals | (jobs - found.landed))
        if not found.count and self._journal is None:
            raise NotFound(
                f"{dataset} has no such image. A patient's ID is given as it landed; a hash has 64 "
                "digits; a path is one below the landing folder, or one that a report shows. "
                "External collections are data sets of their own."
            )
        return found

    def _wanted(self) -> Wanted:
        if self._asked is None:
            assert self._journal is not None
            return Wanted(keyed=frozenset(self._journal.entry.keyed))
        value = self._asked.value
        match self._asked.kind:
            case "patient":
                return traces.of_patient(self._names, value)
            case "image":
                return traces.of_hash(value)
            case "file":
                return traces.of_file(self._spec, self._names, self._files(), value)

    def _images(self, found: Traces) -> int:
        return max(found.count, self._journal.entry.images if self._journal else 0)

    def _files(self, place: str | None = None) -> LandedFiles:
        settings = self._context.settings
        place = place or landing_location(self._spec, settings)
        return LandedFiles(self._spec, open_folder(settings, place), self._names)

    def _pieces(self, found: Traces, journal: Journal | None) -> list[Piece]:
        store, settings, dataset = self._context.store, self._context.settings, self._spec.name
        if not found.count:  # all that is left of an erasure that was cut short is its certificate
            return []
        in_store = stored.Stored(store, dataset, found, self._names, journal)
        pieces = [
            *Home(settings, dataset, found).pieces(),
            *queued.pieces(settings, found),
            *in_store.pieces(),
        ]
        if self._tracking is None:
            return pieces
        tracked = Tracked(
            *(self._context, self._tracking, dataset, found, self._names), held=in_store.has_held
        )
        bundles = local_pieces(self._context, self._tracking, dataset, found)
        return [*tracked.pieces(), *bundles, *pieces]

    def _begun(self, found: Traces) -> Journal:
        settings, dataset = self._context.settings, self._spec.name
        if self._journal is not None:
            journal = self._journal
            now = lineage.uses(self._context, dataset, found)
            journal.write(used=now | journal.entry.used)
            return journal
        assert self._asked is not None
        began = datetime.now(UTC)
        entry = Entry(
            id=f"{began:%Y%m%dT%H%M%SZ}-{secrets.token_hex(4)}",
            dataset=dataset,
            began=began,
            by=getpass.getuser(),
            reason=self._asked.reason,
            asked=self._asked.kind,
            images=found.count,
            refused=_keyed(self._names, found.originals | found.landed),
            keyed=_keyed(self._names, found.hashes | found.paths),
            used=lineage.uses(self._context, dataset, found),
        )
        return Journal(journal_file(settings, dataset), entry)

    def _landed(self, found: Traces) -> list[str]:
        """Which of the files are in a landing folder still."""
        still: list[str] = []
        for place in self._places():
            try:
                files = self._files(place)
                still += [path for path in sorted(found.paths) if _is_there(files, path, found)]
            except (LandingError, Unavailable, OSError) as error:  # a folder of long ago
                logger.info("%s cannot be looked into: %s", place, error)
        return sorted(set(still))

    def _places(self) -> list[str]:
        """The data set's landing folder, and those that landings came from."""
        store, dataset = self._context.store, self._spec.name
        places = {landing_location(self._spec, self._context.settings)}
        for name in store.names(f"{dataset}/landings"):
            path = f"{dataset}/landings/{name}/manifest.json"
            if store.exists(path):
                places.add(str(store.read_json(path)["output"]["source"]))
        return sorted(places)

    def _is_still_there(self, still: Sequence[str]) -> str:
        return (
            f"{len(still)} of the files are still in a landing folder, such as {still[0]}. Medloop "
            "never writes there: remove them first (medloop locate tells a file's own name), and "
            "erase again. To erase all the same: --leave-landed; they are refused when the folder "
            "is landed again."
        )

    def _certified(self, entry: Entry) -> Certificate:
        has_learned = lineage.learned(self._tracking, entry.dataset, entry.used)
        remaining = [*has_learned, *lineage.always(self._context.settings)]
        retrain = f"medloop retrain {entry.dataset} --fresh" if has_learned else None
        return certificate.certify(entry, remaining, retrain=retrain)


def _is_there(files: LandedFiles, path: str, found: Traces) -> bool:
    """Whether a landing folder has a file under this path, with the same bytes."""
    if not files.has(path):
        return False
    try:
        return hashlib.sha256(files.original(path)).hexdigest() in found.hashes
    except BadImage:  # it was refused when it landed, too
        return True


def _keyed(names: Pseudonyms, values: frozenset[str]) -> tuple[str, ...]:
    return tuple(sorted(keyed(names, value) for value in values))


def _audited(done: Certificate) -> ErasedEntry:
    fields = {"id", "dataset", "by", "reason", "asked", "images"}
    return ErasedEntry.model_validate({"time": done.ended, **done.model_dump(include=fields)})

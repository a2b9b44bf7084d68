"""Follows the registry: a new champion is fetched, loaded beside the old, warmed, swapped in."""

import json
import logging
import threading
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from pipelines.activity import served_note
from pipelines.atomic import written_whole
from pipelines.errors import BundleError, Unavailable
from pipelines.release.predictor import Predictor
from pipelines.settings import Settings
from pipelines.spec import spec_names
from pipelines.stage import Context
from serving.champions import Champions, Registry

if TYPE_CHECKING:
    from pipelines.tracking.versions import Registered

logger = logging.getLogger(__name__)


class Follower:
    """Keeps `Champions` what the registry says, from a thread of its own.

    Whatever goes wrong (the registry away, a broken bundle, a full disk), what serves goes on
    serving. The last good bundle of each data set is remembered on disk, so that a restart
    needs no registry.

    Args:
        champions: what to keep up to date.
        context: the installation.
        load: loads, verifies and warms a bundle folder; raises BundleError.
    """

    def __init__(
        self, champions: Champions, context: Context, *, load: Callable[[Path], Predictor]
    ) -> None:
        self._champions = champions
        self._context = context
        self._load = load
        self._judged: dict[str, tuple[int | None, str]] = {}
        """Data set → version and run of the champion that was last taken over or refused; the
        run counts too, because another MLflow server counts its versions anew."""
        self._unnoted: dict[str, Path] = {}
        """Data set → bundle that serves, where the disk did not take the note of it yet."""
        self._told: tuple[Registry, str | None] | None = None
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._follow, name="follower", daemon=True)

    def restore(self) -> None:
        """Serve the last good bundle of each data set, without asking the registry."""
        for dataset in spec_names():
            folder = recall(self._context.settings, dataset)
            if folder is None:
                continue
            try:
                manifest = self._take(dataset, folder).bundle.manifest
                self._judged[dataset] = (manifest.model_version, manifest.run_id)
                logger.info("%s: serving the last good bundle, %s", dataset, folder)
            except Exception as error:  # whatever it is, the other data sets are to serve
                logger.debug("%s: cannot restore", dataset, exc_info=True)
                self._champions.refuse(dataset, None, reason=f"The last good bundle: {error}")
                logger.warning("%s: the last good bundle is not usable: %s", dataset, error)

    def start(self) -> None:
        """Begin to follow."""
        self._thread.start()

    def stop(self) -> None:
        """Stop following; returns at once."""
        self._stopping.set()

    def look(self) -> None:
        """Ask the registry once about every data set, and take over what is new."""
        from pipelines.release import registry  # takes seconds to import

        trouble: dict[str, str] = {}
        for dataset, folder in tuple(self._unnoted.items()):
            self._note(dataset, folder)
        for dataset in spec_names():
            if self._stopping.is_set():
                return
            try:
                champion = registry.champion(self._context, dataset)
            except Unavailable as error:
                self._stand("unreachable", str(error))
                return
            except Exception as error:
                trouble[dataset] = f"{dataset}: {type(error).__name__}: {error}"
                continue
            try:
                self._champions.note(dataset, None if champion else self._orphaned(dataset))
                if champion is not None:
                    self._follow_to(dataset, champion)
            except Exception as error:  # of this data set's bundle: the others are followed
                logger.debug("%s: cannot follow the champion", dataset, exc_info=True)
                trouble[dataset] = f"{dataset}: {type(error).__name__}: {error}"
        self._stand("failing" if trouble else "following", "; ".join(trouble.values()) or None)

    def _follow(self) -> None:
        while not self._stopping.is_set():
            try:
                self.look()
            except Exception as error:  # whatever it is, the next look may go well
                self._stand("failing", f"{type(error).__name__}: {error}")
            self._stopping.wait(self._context.settings.champion_poll_seconds)

    def _follow_to(self, dataset: str, champion: "Registered") -> None:
        from pipelines.release import registry

        identity = (champion.version, champion.run_id)
        if self._judged.get(dataset) == identity:
            return
        logger.info("%s: version %s is the champion; loading it", dataset, champion.version)
        try:
            folder = registry.fetch(self._context, dataset, champion.version)
            self._take(dataset, folder)
        except BundleError as error:
            self._refuse(dataset, champion.version, error)
        else:
            self._note(dataset, folder)
            logger.info("%s: version %s serves", dataset, champion.version)
        self._judged[dataset] = identity

    def _orphaned(self, dataset: str) -> str | None:
        """What to say of a data set that is served though the registry has no champion for it."""
        from pipelines.release import registry

        version = self._champions.version_of(dataset)
        return None if version is None else registry.without_alias(version)

    def _take(self, dataset: str, folder: Path) -> Predictor:
        predictor = self._load(folder)
        if predictor.dataset != dataset:
            raise BundleError(f"Bundle {folder} is one of {predictor.dataset!r}, not {dataset!r}.")
        self._champions.take(predictor)
        return predictor

    def _note(self, dataset: str, folder: Path) -> None:
        """Remember what serves; where the disk is full, try again at the next look."""
        try:
            remember(self._context.settings, dataset, folder)
            self._unnoted.pop(dataset, None)
        except OSError as error:
            if self._unnoted.get(dataset) != folder:
                logger.warning("%s: cannot note the bundle that serves: %s", dataset, error)
            self._unnoted[dataset] = folder

    def _refuse(self, dataset: str, version: int, error: BundleError) -> None:
        self._champions.refuse(dataset, version, reason=str(error))
        logger.error("%s: version %s is refused, the old one goes on: %s", dataset, version, error)

    def _stand(self, standing: Registry, detail: str | None) -> None:
        """Tell how it stands with the registry, and log it when that changes."""
        if (standing, detail) == self._told:
            return
        self._told = (standing, detail)
        self._champions.standing_with(standing, detail=detail)
        if detail:
            logger.warning("The registry is %s; what serves goes on: %s", standing, detail)
        else:
            logger.info("Following the registry")


def remember(settings: Settings, dataset: str, folder: Path) -> None:
    """Note the bundle that serves, for the next start: by its path in the home, which may move."""
    home = settings.home
    place = folder.relative_to(home) if folder.is_relative_to(home) else folder
    note = _note(settings, dataset)
    note.parent.mkdir(parents=True, exist_ok=True)
    with written_whole(note) as part:
        part.write_text(json.dumps({"bundle": str(place)}) + "\n", encoding="utf-8")


def recall(settings: Settings, dataset: str) -> Path | None:
    """The bundle that served last, if it was noted."""
    try:
        place = json.loads(_note(settings, dataset).read_text("utf-8"))["bundle"]
        return settings.home / Path(place)
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, TypeError) as error:
        logger.warning("%s is unreadable (%s); it is ignored", _note(settings, dataset), error)
        return None


def _note(settings: Settings, dataset: str) -> Path:
    return served_note(settings, dataset)

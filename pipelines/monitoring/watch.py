"""The champion that is watched: its bundle, its reference profile, its answers."""

from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import date
from functools import cached_property

from pipelines.data.revisions import Row
from pipelines.locks import locked
from pipelines.monitoring.arrivals import new_images
from pipelines.monitoring.reference import Reference, build, load
from pipelines.monitoring.windows import Cutter, Ledger
from pipelines.release import registry
from pipelines.release.bundle import Bundle, load_bundle
from pipelines.release.predictor import Predictor, open_predictor
from pipelines.release.runtime import Tuning
from pipelines.spec import DatasetSpec
from pipelines.stage import Context
from pipelines.tracking.versions import Registered


@dataclass(frozen=True)
class Watch:
    """The champion that is watched, and what it is held against."""

    spec: DatasetSpec
    context: Context
    champion: Registered
    bundle: Bundle
    reference: Reference

    @cached_property
    def predictor(self) -> Predictor:
        """The champion, ready to answer."""
        cache = self.context.settings.cache
        threads = Tuning().threads
        return open_predictor(self.bundle.folder, "openvino", cache=cache, threads=threads)

    @cached_property
    def arrived(self) -> dict[str, list[Row]]:
        """Images that landed since it learnt; see `arrivals.new_images`."""
        return new_images(self.context, self.bundle.manifest)


def champion_of(context: Context, dataset: str) -> Registered:
    """The version that serves.

    Raises:
        NotFound: there is none.
        TrackingUnavailable: MLflow does not answer.
    """
    return registry.require_champion(context, dataset)


def champion_and_answers(
    context: Context, dataset: str, *, ledger: Ledger, today: date
) -> tuple[Registered, Cutter]:
    """The champion, and its answers beyond a ledger. It is asked for again once the files are
    listed: answers of a model that was promoted meanwhile are not another model's."""
    while True:
        champion = champion_of(context, dataset)
        model = (champion.version, champion.run_id)
        cutter = Cutter(context.store, dataset, model=model, ledger=ledger, today=today)
        if champion_of(context, dataset).version == champion.version:
            return champion, cutter


def open_watch(spec: DatasetSpec, context: Context, champion: Registered) -> Watch:
    """Fetch a champion's bundle, and its reference profile, made if it does not stand."""
    folder = registry.fetch(context, spec.name, champion.version)
    reference = load(context, build(context, folder))
    return Watch(spec, context, champion, load_bundle(folder), reference)


def alone(context: Context, dataset: str) -> AbstractContextManager[None]:
    """Let one process of this machine at a time watch a data set."""
    return locked(context.settings.work / "monitor" / f"{dataset}.lock")

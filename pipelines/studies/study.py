"""A question as a run in MLflow, and each training it takes as a run nested below it.

A run is found by its fingerprint. One that is done carries the tag ``medloop.outcome`` and, as
an artifact, what it came to: it is read, not done again. So a study that was killed goes on with
the training that was under way.
"""

import logging
import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel

from pipelines.locks import alone
from pipelines.spec import DatasetSpec
from pipelines.stage import Context, fingerprint
from pipelines.tracking import runs
from pipelines.tracking.client import Tracking, open_tracking

logger = logging.getLogger(__name__)

KIND = "medloop.study"
DONE = "medloop.outcome"
OUTCOME = "outcome.json"
PARENT = "mlflow.parentRunId"
"""The tag by which MLflow shows a run below another."""

OutcomeT = TypeVar("OutcomeT", bound=BaseModel)


@dataclass(frozen=True)
class Work:
    """A run that is under way.

    Args:
        tracking: where it is noted.
        run_id: which it is.
        folder: its own place on this machine; kept when it is killed, removed when it is done.
    """

    tracking: Tracking
    run_id: str
    folder: Path

    def log(self, metrics: Mapping[str, float]) -> None:
        """Note figures."""
        runs.log_metrics(self.tracking, self.run_id, metrics)


@dataclass(frozen=True)
class Study(Work):
    """A study that is under way.

    Args:
        experiment: the data set's, in MLflow.
        id: stands for everything that decides what it comes to.
    """

    experiment: str
    id: str

    def member(
        self,
        name: str,
        identity: str,
        *,
        params: Mapping[str, Any],
        kind: type[OutcomeT],
        work: Callable[[Work], OutcomeT],
    ) -> OutcomeT:
        """What one training came to: read if it is done, else done now.

        Args:
            name: for MLflow's table.
            identity: what makes it another than the study's other trainings.
            params: shown with it.
            kind: what it comes to.
            work: does it.
        """
        fingerprinted = fingerprint(self.id, identity)
        tags = {PARENT: self.run_id}
        with _resumed(
            self.tracking, self.experiment, fingerprinted, name=name, tags=tags
        ) as run_id:
            standing = _outcome(self.tracking, run_id, kind)
            if standing is not None:
                return standing
            runs.log_params(self.tracking, run_id, params)
            place = Work(self.tracking, run_id, self.folder / fingerprinted)
            outcome = work(place)
            _conclude(place, outcome)
        return outcome


def study(
    spec: DatasetSpec,
    context: Context,
    *,
    kind: type[OutcomeT],
    name: str,
    identity: str,
    params: Mapping[str, Any],
    tags: Mapping[str, str],
    work: Callable[[Study], OutcomeT],
) -> OutcomeT:
    """What a study came to: read if it is done, else done now, or gone on with.

    Args:
        spec: of the data set.
        context: settings and store.
        kind: what it comes to.
        name: for MLflow's table.
        identity: stands for everything that decides what it comes to.
        params: shown with it.
        tags: of its run.
        work: does it.

    Raises:
        TrackingUnavailable: MLflow does not answer.
    """
    tracking = open_tracking(context.settings)
    experiment = tracking.experiment(spec.name, title=spec.title)
    folder = context.settings.work / "studies" / identity
    with (
        alone(folder),
        _resumed(tracking, experiment, identity, name=name, tags=tags) as run_id,
    ):
        standing = _outcome(tracking, run_id, kind)
        if standing is not None:
            logger.info("%s: %s is done already", spec.name, name)
            outcome = standing
        else:
            runs.log_params(tracking, run_id, params)
            place = Study(tracking, run_id, folder, experiment=experiment, id=identity)
            outcome = work(place)
            _conclude(place, outcome)
    shutil.rmtree(folder, ignore_errors=True)
    return outcome


def _outcome(tracking: Tracking, run_id: str, kind: type[OutcomeT]) -> OutcomeT | None:
    with tracking.reaching() as client:
        tags = client.get_run(run_id).data.tags
    return kind.model_validate(tracking.read_json(run_id, OUTCOME)) if DONE in tags else None


def _conclude(place: Work, outcome: BaseModel) -> None:
    """Keep what a run came to; the tag that says so comes last."""
    place.tracking.upload_json(place.run_id, OUTCOME, outcome.model_dump(mode="json"))
    runs.set_tags(place.tracking, place.run_id, {DONE: "true"})
    shutil.rmtree(place.folder, ignore_errors=True)


@contextmanager
def _resumed(
    tracking: Tracking, experiment: str, identity: str, *, name: str, tags: Mapping[str, str]
) -> Iterator[str]:
    """The run of a fingerprint: begun, or taken up; ends as finished, or as failed."""
    found = runs.find(tracking, experiment, fingerprint=identity)
    if found is not None:
        run_id = str(found.info.run_id)
        if DONE not in found.data.tags:
            with tracking.reaching() as client:
                client.update_run(run_id, status="RUNNING")
    else:
        with tracking.reaching() as client:
            marked = dict(tags) | {runs.FINGERPRINT: identity}
            run = client.create_run(experiment, run_name=name, tags=marked)
            run_id = str(run.info.run_id)
    try:
        yield run_id
    except BaseException:
        _end(tracking, run_id, "FAILED")
        raise
    _end(tracking, run_id, "FINISHED")


def _end(tracking: Tracking, run_id: str, status: str) -> None:
    with tracking.reaching() as client:
        if client.get_run(run_id).info.status != status:
            client.set_terminated(run_id, status)

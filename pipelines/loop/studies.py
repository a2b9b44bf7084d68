"""Questions about a candidate that take several trainings; none of them asks the test set."""

from typing import TYPE_CHECKING

from pipelines.loop.data import latest_snapshot, prepare, split
from pipelines.loop.opening import opened, step
from pipelines.outputs import Prepared

if TYPE_CHECKING:
    from pipelines.studies.cross_validation import CrossValidation
    from pipelines.studies.learning_curve import LearningCurve
    from pipelines.studies.tune import Tuned


def latest_prepared(dataset: str) -> Prepared:
    """The training set of the newest snapshot; made if it is not there.

    Raises:
        NotFound: nothing was ingested yet.
    """
    snapshot = latest_snapshot(dataset)
    return prepare(dataset, snapshot, split(dataset, snapshot))


@step
def tune(dataset: str, candidate: str) -> "Tuned":
    """Search for a candidate's best settings on the newest training set; see `studies.tune.run`."""
    from pipelines.studies import tune

    spec, context = opened(dataset)
    spec.candidate(candidate)  # a slip is told before images are prepared
    return tune.run(spec, context, latest_prepared(dataset), candidate)


@step
def learning_curve(dataset: str, candidate: str, *, repeats: int = 5) -> "LearningCurve":
    """Train a candidate on ever more of the newest images; see `studies.learning_curve.run`."""
    from pipelines.studies import learning_curve

    spec, context = opened(dataset)
    spec.candidate(candidate)
    return learning_curve.run(spec, context, latest_prepared(dataset), candidate, repeats=repeats)


@step
def cross_validate(dataset: str, candidate: str, *, folds: int, repeats: int) -> "CrossValidation":
    """Cross-validate a candidate on the newest training set; see `studies.cross_validation.run`."""
    from pipelines.studies import cross_validation

    spec, context = opened(dataset)
    spec.candidate(candidate)
    prepared = latest_prepared(dataset)
    return cross_validation.run(spec, context, prepared, candidate, folds=folds, repeats=repeats)

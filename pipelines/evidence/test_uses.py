"""How often the test set was asked: every look makes the best figure a little too good.

Each evaluation notes on its model's run, in MLflow, which test images it asked (a fingerprint of
their SHA-256) before it asks them. The count is made from these notes, of runs that were deleted
too, so there is no counter that could be lost or forgotten.
"""

from pathlib import Path

import numpy as np
from scipy.stats import norm

from pipelines.data.input.training_set import TrainingSet
from pipelines.evaluation.predictions import described
from pipelines.evidence.finding import Finding
from pipelines.evidence.subject import Subject
from pipelines.stage import fingerprint
from pipelines.tracking import runs
from pipelines.tracking.client import Tracking, open_tracking

TEST_SET = "medloop.test_set"
"""The tag of a run that says which test images were asked about it."""
LOOKS = "medloop.test_looks"
"""The tag that names each of its evaluations, between spaces."""
SUSPICIOUS = 0.01
"""Of accuracy: what chance may do to the best of all models without a warning."""
ABOUT = (
    "A test set is fair to the first model that it judges. Whoever looks at its figures, changes "
    "something and looks again fits the test set by and by, without training on it (Dwork et al. "
    "2015, “The reusable holdout”). Medloop tunes, calibrates and chooses on validation images "
    "only; each evaluation notes in MLflow that it asked these test images, and these notes are "
    "counted here, those of deleted runs among them. Test sets that share some of the images are "
    "counted apart."
)


def test_set(data: TrainingSet) -> str:
    """Fingerprint of the test images, whatever their order."""
    return fingerprint(sorted(described(data, "test")["sha256"]))


def note_look(tracking: Tracking, run_id: str, data: TrainingSet, *, evaluation: str) -> None:
    """Note on a run that its model is about to be asked about the test images.

    Args:
        tracking: where the run is.
        run_id: of the model.
        data: with the test images.
        evaluation: what stands for this evaluation; the same one is noted once.
    """
    with tracking.reaching() as client:
        known = client.get_run(run_id).data.tags.get(LOOKS, "").split()
    looks = dict.fromkeys([*known, evaluation])
    runs.set_tags(tracking, run_id, {TEST_SET: test_set(data), LOOKS: " ".join(looks)})


def look(subject: Subject, _: Path) -> Finding:
    """Count the looks at the subject's test images; draws nothing.

    Raises:
        TrackingUnavailable: MLflow does not answer.
    """
    spec = subject.spec
    tracking = open_tracking(subject.context.settings)
    experiment = tracking.experiment(spec.name, title=spec.title)
    asked = runs.every(
        tracking, experiment, condition=f"tags.`{TEST_SET}` = '{test_set(subject.data)}'"
    )
    models = max(1, len(asked))
    looks = max(1, sum(len(run.data.tags.get(LOOKS, "").split()) for run in asked))
    test = subject.of("test")
    right = subject.answers("test").right(subject.labels("test"))
    chance = luck(models, accuracy=float(right.mean()), groups=test["group"].nunique())
    said = (
        f"These {len(test):,} test images were asked {_times(looks)}, about {models:,} "
        f"{'model' if models == 1 else 'models'}, this one among them."
    )
    by_chance = (
        f"Were all {models:,} equally good, the best of them would look better by "
        f"{100 * chance:.1f} points of accuracy, by chance alone."
    )
    return Finding(
        title="How often the test set was asked",
        about=ABOUT,
        said=(said, by_chance) if models > 1 else (said,),
        warnings=(
            (f"{by_chance} Judge the next ones on new test images.",) if chance > SUSPICIOUS else ()
        ),
        figures={"looks": looks, "models": models, "luck": chance},
    )


def luck(models: int, *, accuracy: float, groups: int) -> float:
    """How much the best of several equally good models is expected to look better than it is.

    The expected largest of ``models`` independent normal values (Blom 1958), times the standard
    error of an accuracy. Models that err on the same images differ less, so it is an upper bound.

    Args:
        models: how many were judged.
        accuracy: of one of them.
        groups: independent test cases.
    """
    largest = float(norm.ppf((models - 0.375) / (models + 0.25)))
    return largest * float(np.sqrt(accuracy * (1 - accuracy) / groups))


def _times(count: int) -> str:
    return {1: "once", 2: "twice"}.get(count, f"{count:,} times")

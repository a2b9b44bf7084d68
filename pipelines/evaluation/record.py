"""What an evaluation found, as it stands in MLflow beside the candidate's run."""

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd
from pydantic import BaseModel, ConfigDict, model_validator

from pipelines.errors import NotFound
from pipelines.evaluation.calibration import CalibrationFigures
from pipelines.evaluation.intervals import Interval
from pipelines.evaluation.metrics import OVERALL, depends_on_decision
from pipelines.evaluation.targets import ANY_FINDING
from pipelines.evidence.finding import Finding
from pipelines.outputs import Evaluated, SplitName
from pipelines.tracking import runs
from pipelines.tracking.client import Tracking

if TYPE_CHECKING:
    from mlflow.entities import Run

FOLDER = "evaluation"
REPORT = f"{FOLDER}/evaluation.json"
PREDICTIONS = f"{FOLDER}/predictions.parquet"
PAGE = f"{FOLDER}/report.html"
"""See `pipelines.evaluation.report`."""


class SplitFigures(BaseModel):
    """What was found on one split."""

    model_config = ConfigDict(frozen=True)

    images: int
    groups: int
    figures: dict[str, float]
    """Named as by `metrics.measure`."""
    intervals: dict[str, Interval]
    """95 % bootstrap intervals of the same, resampled by group."""
    confusion: list[list[int]]
    """True classes in rows."""


class SplitCalibration(BaseModel):
    """How well probabilities mean what they say on one split."""

    model_config = ConfigDict(frozen=True)

    before: CalibrationFigures
    """As the model gives them."""
    after: CalibrationFigures
    """Calibrated."""

    def named(self, split: SplitName) -> dict[str, float]:
        """``<split>.<figure>``, and ``<split>.<figure>_uncalibrated`` → value."""
        after = {f"{split}.{name}": value for name, value in self.after}
        return after | {f"{split}.{name}_uncalibrated": value for name, value in self.before}


class Evaluation(BaseModel):
    """``evaluation.json``."""

    model_config = ConfigDict(frozen=True, protected_namespaces=())

    id: str
    candidate: str
    run_id: str
    classes: tuple[str, ...]
    prepared: str
    """Store path of the training set."""
    model_sha256: str | None
    """Of the ``.keras`` file that was asked; ``None`` for a candidate that is not a network, and so
    cannot serve."""
    resamples: int
    splits: dict[SplitName, SplitFigures]
    """As the service decides: by ``thresholds`` where there are any."""
    temperature: float = 1.0
    """Fitted on the validation split; see `calibration.fit_temperature`. All figures and
    predictions are of the calibrated probabilities."""
    thresholds: dict[str, float] | None = None
    """What the bundle decides by (`judging.thresholds_of`); the likeliest class if null."""
    likeliest: dict[SplitName, SplitFigures] = {}
    """As ``splits``, with the likeliest class decided for (argmax); empty without thresholds, where
    it is the same."""
    calibration: dict[SplitName, SplitCalibration] = {}
    """Empty in evaluations of older code, as `answered` is."""
    answered: dict[str, float] = {}
    """Accuracy on the surest part of the test set; its share of the whole → accuracy."""
    evidence: dict[str, Finding] = {}
    """Kind → what it came to; see `pipelines.evidence`."""

    @model_validator(mode="before")
    @classmethod
    def _served_first(cls, said: Any) -> Any:
        """Reads older evaluations, whose ``splits`` held the argmax figures and whose
        ``operating`` held those as served."""
        if not isinstance(said, dict) or "operating" not in said:
            return said
        rest = {name: value for name, value in said.items() if name != "operating"}
        if not said["operating"]:
            return rest
        return rest | {"splits": said["operating"], "likeliest": said["splits"]}

    def by_likeliest(self, split: SplitName) -> SplitFigures:
        """The figures of a split with the likeliest class decided for."""
        return self.likeliest.get(split, self.splits[split])

    def named(self, split: SplitName) -> dict[str, float]:
        """The metrics of a split: ``<split>.<figure>`` as served and, where thresholds decide,
        ``<split>.<figure>_argmax`` for each figure that they change."""
        served = {f"{split}.{name}": v for name, v in self.splits[split].figures.items()}
        beside = self.likeliest[split].figures if split in self.likeliest else {}
        return served | {
            f"{split}.{name}_argmax": v for name, v in beside.items() if depends_on_decision(name)
        }

    def evaluated(self, dataset: str) -> Evaluated:
        """The figures that selection and tables need."""
        overall = {
            split: {name: found.figures[name] for name in OVERALL}
            for split, found in self.splits.items()
        }
        return Evaluated(
            dataset=dataset,
            id=self.id,
            candidate=self.candidate,
            run_id=self.run_id,
            validation=overall["validation"],
            test=overall["test"],
            servable=self.model_sha256 is not None,
        )

    def note(self) -> str:
        """The text of the run's page: the figures as served, with their intervals."""
        test, validation = self.splits["test"], self.splits["validation"]
        lines = [
            f"**{self.candidate}**: {test.images:,} test images in {test.groups:,} groups. "
            f"Intervals: 95 %, bootstrap of {self.resamples:,} resamples by group. "
            f"{self.decided_by}",
            "",
            "| figure | test | 95 % interval | validation |",
            "|---|---|---|---|",
        ]
        of = [*self.classes, ANY_FINDING]
        shown = [*OVERALL, *(f"sensitivity.{name}" for name in of)]
        for name in shown:
            if name not in test.figures:
                continue
            low, high = test.intervals[name]
            lines.append(
                f"| {name} | {test.figures[name]:.3f} | {low:.3f} to {high:.3f} "
                f"| {validation.figures[name]:.3f} |"
            )
        return "\n".join([*lines, *self._argmax(), *self._trust()])

    @property
    def decided_by(self) -> str:
        """Which class is decided for, in a sentence."""
        if self.thresholds is None:
            return "The likeliest class is decided for, as by the service."
        limits = ", ".join(f"{name} {limit:.3f}" for name, limit in self.thresholds.items())
        return f"Decided by thresholds ({limits}), as by the service."

    def _argmax(self) -> list[str]:
        """What the figures would be without thresholds, where there are any."""
        if self.thresholds is None:
            return []
        test = self.by_likeliest("test")
        lines = [
            "",
            "For comparison only, with the likeliest class decided for (argmax):",
            "",
            "| figure | test | 95 % interval |",
            "|---|---|---|",
        ]
        for name in ("accuracy", f"sensitivity.{ANY_FINDING}", f"specificity.{ANY_FINDING}"):
            low, high = test.intervals[name]
            lines.append(f"| {name} | {test.figures[name]:.3f} | {low:.3f} to {high:.3f} |")
        return lines

    def _trust(self) -> list[str]:
        """How far the confidence can be trusted."""
        lines = [
            "",
            f"Temperature {self.temperature:.3f}, fitted on validation.",
            "",
            "| test | as the model says | calibrated |",
            "|---|---|---|",
        ]
        test = self.calibration["test"]
        for name, was in test.before:
            lines.append(f"| {name} | {was:.4f} | {getattr(test.after, name):.4f} |")
        lines += ["", "| surest part of the test set | accuracy |", "|---|---|"]
        lines += [f"| {part} | {accuracy:.3f} |" for part, accuracy in self.answered.items()]
        return lines


def read_evaluation(tracking: Tracking, run_id: str) -> Evaluation | None:
    """The evaluation of a run, if there is one."""
    if not tracking.has_artifact(run_id, REPORT):
        return None
    return Evaluation.model_validate(tracking.read_json(run_id, REPORT))


def newest_evaluations(tracking: Tracking, dataset: str) -> "dict[str, tuple[Run, Evaluation]]":
    """Candidate → its newest run that was evaluated, and what was found.

    Raises:
        NotFound: nothing was trained on the data set yet.
    """
    with tracking.reaching() as client:
        experiment = client.get_experiment_by_name(dataset)
    if experiment is None:
        raise NotFound(f"Nothing was trained on {dataset} yet: medloop retrain {dataset}.")
    newest: dict[str, tuple[Run, Evaluation]] = {}
    trained = f"tags.`{runs.TRAINED}` = 'true'"
    for run in runs.every(tracking, experiment.experiment_id, condition=trained):
        found = read_evaluation(tracking, run.info.run_id)
        if found is not None:
            newest[found.candidate] = (run, found)
    return newest


def require_evaluation(tracking: Tracking, run_id: str, candidate: str) -> Evaluation:
    """The evaluation of a candidate's run.

    Raises:
        NotFound: the run was not evaluated.
    """
    found = read_evaluation(tracking, run_id)
    if found is None:
        raise NotFound(f"Run {run_id} ({candidate}) is not evaluated yet.")
    return found


def read_predictions(tracking: Tracking, run_id: str, split: SplitName) -> pd.DataFrame:
    """What a run's Keras model said about a split; see `predictions.predict`.

    Raises:
        NotFound: the run was not evaluated.
    """
    with tempfile.TemporaryDirectory(prefix="medloop-") as folder:
        rows = pd.read_parquet(tracking.download(run_id, PREDICTIONS, target=Path(folder)))
    return rows[rows["split"] == split].reset_index(drop=True)

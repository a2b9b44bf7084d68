"""Which settings of a candidate are best? Random search or Hyperband, by Optuna.

Bergstra and Bengio 2012 (random search), Li et al. 2018 (Hyperband: many settings for a few
epochs, the better ones for more). A trial is judged by the least loss on the validation split
that any of its epochs reached, the mean of its executions; the test split is not asked.

Trial number n draws its settings by a seed of its own, and each trial that is done stands in
MLflow. So Optuna's own state need not be kept: a search that was killed is played again from the
start, and what is done already takes no time.
"""

import logging
import tempfile
from collections import Counter
from collections.abc import Callable
from math import inf
from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import BaseModel

from pipelines.data.input.training_set import TrainingSet
from pipelines.errors import SpecError, TrainingError
from pipelines.evaluation import figures
from pipelines.features.extract import training_set
from pipelines.models.identity import weights_identity
from pipelines.outputs import Prepared
from pipelines.progress import track
from pipelines.spec import CandidateSpec, DatasetSpec, TuneSpec
from pipelines.spec.tuning import Setting
from pipelines.stage import Context, fingerprint
from pipelines.studies.judged import require_network
from pipelines.studies.pictures import search_picture
from pipelines.studies.space import space_of, suggest
from pipelines.studies.study import KIND, Study, Work, study
from pipelines.studies.trial import Trial, execute
from pipelines.tracking import runs
from pipelines.training.code import training_code

if TYPE_CHECKING:
    import optuna

logger = logging.getLogger(__name__)

SEARCH = "medloop.search"
"""The tag of a candidate's run that names the search its settings come from."""


class Tuned(BaseModel):
    """A search that is done."""

    run_id: str
    candidate: str
    search: str
    trials: list[Trial]
    best: int
    """Number of the trial that is followed."""

    @property
    def settings(self) -> dict[str, Setting]:
        """Those of the best trial."""
        return self.trials[self.best].settings


def run(spec: DatasetSpec, context: Context, prepared: Prepared, candidate: str) -> Tuned:
    """Search for a candidate's best settings; a search that was killed goes on.

    Raises:
        SpecError: the spec has no such candidate, or says nothing of tuning it.
        TrainingError: no trial came to an end.
        TrackingUnavailable: MLflow does not answer.
        StoreUnavailable: the store does not answer.
    """
    chosen = spec.candidate(candidate)
    tune = chosen.tune
    if tune is None:
        raise SpecError(
            f"Candidate {candidate!r} of {spec.name} is not to be tuned; give it a block "
            "`tune: {search: random, trials: 10}` in its spec."
        )
    require_network(chosen)
    weights = weights_identity(chosen.weights)
    # How long the best is trained in the end decides nothing here.
    asked = (prepared.id, chosen.shortened(tune.max_epochs), tune, weights, spec.split.seed)
    identity = fingerprint("tune", *asked, training_code(chosen))
    data = training_set(context, prepared)
    return study(
        spec,
        context,
        kind=Tuned,
        name=f"{candidate} · {tune.search} search",
        identity=identity,
        params={**tune.model_dump(exclude={"space"}), "space": space_of(chosen)},
        tags={KIND: "tune", "medloop.candidate": candidate, "medloop.prepared": prepared.path},
        work=lambda place: _search(place, chosen, tune, data, seed=spec.split.seed),
    )


def settled(
    spec: DatasetSpec, context: Context, prepared: Prepared, chosen: CandidateSpec
) -> tuple[CandidateSpec, dict[str, str]]:
    """A candidate with its best settings, searched for if they have to be, and its run's tags."""
    if chosen.tune is None:
        return chosen, {}
    tuned = run(spec, context, prepared, chosen.name)
    return chosen.with_settings(tuned.settings), {SEARCH: tuned.run_id}


def _search(
    place: Study, candidate: CandidateSpec, tune: TuneSpec, data: TrainingSet, *, seed: int
) -> Tuned:
    import optuna

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    asked = optuna.create_study(study_name="medloop", pruner=_pruner(tune))
    space, trials = space_of(candidate), []
    for number in track(range(tune.trials), total=tune.trials, what="Trials"):
        # By number, so that a search which begins again draws the same.
        asked.sampler = optuna.samplers.RandomSampler(seed=seed + number)
        trial = asked.ask()
        settings = suggest(trial, space)
        done = place.member(
            f"trial {number}",
            f"trial {number}",
            params={"trial": number, **settings},
            kind=Trial,
            work=_executions(candidate, data, asked=trial, settings=settings, seed=seed),
        )
        _tell(asked, trial, done)
        trials.append(done)
    tuned = Tuned(
        run_id=place.run_id,
        candidate=candidate.name,
        search=tune.search,
        trials=trials,
        best=_best(trials, candidate.name),
    )
    _log(place, tuned)
    return tuned


def _pruner(tune: TuneSpec) -> "optuna.pruners.BasePruner":
    import optuna

    if tune.search == "random":
        return optuna.pruners.NopPruner()
    return optuna.pruners.HyperbandPruner(
        min_resource=1, max_resource=tune.max_epochs, reduction_factor=tune.factor
    )


def _executions(
    candidate: CandidateSpec,
    data: TrainingSet,
    *,
    asked: "optuna.Trial",
    settings: dict[str, Setting],
    seed: int,
) -> Callable[[Work], Trial]:
    """The trainings of a trial, to be done where it has not been done yet."""

    def work(place: Work) -> Trial:
        return execute(
            place,
            candidate,
            data,
            number=asked.number,
            settings=settings,
            seed=seed,
            enough=lambda epoch, loss: _enough(asked, epoch, loss),
        )

    return work


def _enough(asked: "optuna.Trial", epoch: int, loss: float) -> bool:
    """Report an epoch; whether the trial is to be stopped."""
    asked.report(loss, epoch)
    return asked.should_prune()


def _tell(search: "optuna.Study", asked: "optuna.Trial", done: Trial) -> None:
    """Tell Optuna what a trial came to, with its epochs where they were another process's."""
    import optuna

    reported = search.trials[asked.number].intermediate_values
    for epoch, loss in enumerate(done.executions[0].losses, start=1):
        if epoch not in reported:
            _enough(asked, epoch, loss)
    state = {
        "complete": optuna.trial.TrialState.COMPLETE,
        "pruned": optuna.trial.TrialState.PRUNED,
        "diverged": optuna.trial.TrialState.FAIL,
    }[done.state]
    search.tell(asked, done.loss if done.state == "complete" else None, state=state)


def _best(trials: list[Trial], candidate: str) -> int:
    """The number of the trial with the least loss, of those that came to their end."""
    ended = [(trial.loss, trial.number) for trial in trials if trial.state == "complete"]
    if not ended:
        states = dict(Counter(trial.state for trial in trials))
        raise TrainingError(
            f"None of the {len(trials)} trials of {candidate!r} came to an end: {states}. "
            "Lower the learning rates in tune.space."
        )
    return min(ended)[1]


def _log(place: Study, tuned: Tuned) -> None:
    """Show what was found on the page of the search's run."""
    best = tuned.trials[tuned.best]
    assert best.loss is not None
    place.log({"tune.trials": len(tuned.trials), "tune.best_loss": best.loss})
    runs.set_tags(
        place.tracking,
        place.run_id,
        {"medloop.best": best.run_id, "mlflow.note.content": note(tuned)},
    )
    with tempfile.TemporaryDirectory(prefix="medloop-") as folder:
        figures.save(search_picture(tuned), Path(folder) / "search.png")
        place.tracking.upload(place.run_id, Path(folder), folder="figures")


def note(tuned: Tuned) -> str:
    """The trials as a table in Markdown, the best first."""
    names = list(tuned.settings)
    lines = [
        f"**{tuned.candidate}**: {tuned.search} search, judged by the least validation loss.",
        "",
        f"| trial | {' | '.join(names)} | loss | accuracy | epochs | state |",
        "|" + "---|" * (len(names) + 5),
    ]
    for trial in ranked(tuned):
        settings = " | ".join(shown(trial.settings[name]) for name in names)
        epochs = "+".join(str(len(execution.losses)) for execution in trial.executions)
        lines.append(
            f"| {trial.number} | {settings} | {shown(trial.loss)} | {shown(trial.accuracy)} "
            f"| {epochs} | {trial.state} |"
        )
    return "\n".join(lines)


def ranked(tuned: Tuned) -> list[Trial]:
    """The trials by loss; those that were stopped come last."""
    return sorted(
        tuned.trials, key=lambda t: (t.state != "complete", inf if t.loss is None else t.loss)
    )


def shown(value: Setting) -> str:
    """A setting or figure for a table."""
    if value is None:
        return "-"
    return f"{value:.4g}" if isinstance(value, float) else str(value)

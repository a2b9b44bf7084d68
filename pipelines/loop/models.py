"""From a training set to the best candidate."""

from pydantic import validate_call

from pipelines.loop.opening import opened, step
from pipelines.outputs import Challenger, Evaluated, Prepared, Trained
from pipelines.spec import load_spec


def candidates(dataset: str, wanted: list[str] | None = None) -> list[str]:
    """Names of the candidates to train: those wanted, or all that are not optional.

    Raises:
        SpecError: a wanted candidate is not in the spec.
    """
    spec = load_spec(dataset)
    return [spec.candidate(name).name for name in wanted or spec.usual_candidates]


@validate_call
@step
def train(dataset: str, prepared: Prepared, candidate: str) -> Trained:
    """Train one candidate, as a run in MLflow.

    Raises:
        CandidateSkipped: this machine cannot train it, and its spec says to go on without it.
    """
    from pipelines.training import candidate as training

    spec, context = opened(dataset)
    return training.run(spec, context, prepared, candidate)


@validate_call
@step
def evaluate(dataset: str, prepared: Prepared, trained: Trained) -> Evaluated:
    """Measure one candidate on the validation and the leak-free test split."""
    from pipelines.evaluation import evaluate

    spec, context = opened(dataset)
    return evaluate.run(spec, context, prepared, trained)


@validate_call
@step
def select(
    dataset: str, prepared: Prepared, evaluated: list[Evaluated] | Evaluated | None
) -> Challenger:
    """Register the best candidate's inference bundle as ``challenger``."""
    from pipelines.release import select

    spec, context = opened(dataset)
    # Airflow hands over the output of a group that was mapped over one candidate without its list,
    # and nothing where each was skipped.
    every = evaluated if isinstance(evaluated, list) else [evaluated] if evaluated else []
    return select.run(spec, context, prepared, every)

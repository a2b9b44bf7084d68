"""What a spec may have searched, and what is drawn from it."""

from typing import Any

import optuna
import pytest
from pydantic import ValidationError

from pipelines.spec import CandidateSpec
from pipelines.studies.space import space_of, suggest
from tests.pipelines.training.small_sets import candidate


def tuned(**space: Any) -> CandidateSpec:
    """A candidate whose settings are searched in ``space``."""
    return candidate(tune={"space": space} if space else {})


def drawn(chosen: CandidateSpec, *, seed: int) -> dict[str, Any]:
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=seed))
    return suggest(study.ask(), space_of(chosen))


def test_the_same_seed_draws_the_same_settings_within_their_bounds() -> None:
    chosen = tuned(
        learning_rate={"low": 1e-4, "high": 1e-2, "scale": "log"},
        dropout={"low": 0, "high": 0.5},
        batch_size={"low": 8, "high": 32, "step": 8},
        augment={"choices": ["none", "light"]},
    )

    settings = [drawn(chosen, seed=seed) for seed in range(30)]

    assert settings == [drawn(chosen, seed=seed) for seed in range(30)]
    assert len({s["learning_rate"] for s in settings}) == 30
    assert all(1e-4 <= s["learning_rate"] <= 1e-2 for s in settings)
    assert sum(s["learning_rate"] < 1e-3 for s in settings) in range(8, 23)
    assert {s["batch_size"] for s in settings} == {8, 16, 24, 32}
    assert {s["augment"] for s in settings} == {"none", "light"}


def test_without_a_space_the_usual_settings_are_tried() -> None:
    assert {"learning_rate", "dropout"} <= set(space_of(tuned()))


def test_every_setting_drawn_makes_a_candidate() -> None:
    chosen = candidate(tune={}, epochs=7)

    made = chosen.with_settings({"dropout": 0.25, "learning_rate": 0.002})

    assert (made.dropout, made.learning_rate, made.epochs, made.tune) == (0.25, 0.002, 7, None)


@pytest.mark.parametrize(
    ("space", "complaint"),
    [
        ({"dropuot": {"low": 0, "high": 0.5}}, "'dropuot' is no setting"),
        ({"name": {"choices": ["a", "b"]}}, "'name' is no setting"),
        ({"label_smoothing": {"low": 0, "high": 0.2}}, "compared by what 'label_smoothing'"),
        ({"dropout": {"low": 0, "high": 2}}, "less than 1"),
        ({"dropout": {"low": 0.5, "high": 0.1}}, "low 0.5 is above high 0.1"),
        ({"learning_rate": {"low": 0, "high": 0.1, "scale": "log"}}, "log scale begins above 0"),
        ({"augment": {"choices": []}}, "at least 1 item"),
        ({"augment": {"choices": ["none", "wild"]}}, "wild"),
    ],
)
def test_a_space_that_cannot_be_searched_is_refused(space: dict[str, Any], complaint: str) -> None:
    with pytest.raises(ValidationError, match=complaint):
        tuned(**space)


def test_an_empty_space_is_refused() -> None:
    with pytest.raises(ValidationError, match="space names no setting"):
        candidate(tune={"space": {}})


def test_trials_that_would_be_shorter_than_the_warm_up_are_refused() -> None:
    with pytest.raises(ValidationError, match="warm-up must end before"):
        candidate(epochs=20, warmup_epochs=5, tune={"max_epochs": 4})

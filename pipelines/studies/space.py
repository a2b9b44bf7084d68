"""Which settings a search tries, and how they are drawn."""

from collections.abc import Mapping
from typing import TYPE_CHECKING

from pipelines.spec import CandidateSpec, Choices, Range

if TYPE_CHECKING:
    import optuna

    from pipelines.spec.tuning import Setting

USUAL: dict[str, Range | Choices] = {
    "learning_rate": Range(low=1e-4, high=1e-2, scale="log"),
    "dropout": Range(low=0.0, high=0.5),
}
"""Tried of every model …"""
OF_FAMILY: dict[str, dict[str, Range | Choices]] = {
    "small_cnn": {
        "options.blocks": Range(low=3, high=5),
        "options.filters": Choices(choices=(16, 32, 64)),
        "options.most_filters": Choices(choices=(64, 128)),
        "options.units": Range(low=32, high=512, step=32),
    },
}
"""… and what its family has besides. With fewer than three blocks, the dense layer of
``small_cnn`` would have tens of millions of weights."""


def space_of(candidate: CandidateSpec) -> dict[str, Range | Choices]:
    """Setting → what is tried: as the spec says, or what is usual for the model's family."""
    assert candidate.tune is not None
    if candidate.tune.space is not None:
        return dict(candidate.tune.space)
    return USUAL | OF_FAMILY.get(candidate.model, {})


def suggest(trial: "optuna.Trial", space: Mapping[str, Range | Choices]) -> "dict[str, Setting]":
    """One set of settings, drawn by the trial's sampler."""
    return {name: _drawn(trial, name, values) for name, values in space.items()}


def _drawn(trial: "optuna.Trial", name: str, values: Range | Choices) -> "Setting":
    if isinstance(values, Choices):
        drawn: Setting = trial.suggest_categorical(name, values.choices)
        return drawn
    low, high, step, log = values.low, values.high, values.step, values.scale == "log"
    if isinstance(low, int) and isinstance(high, int) and not isinstance(step, float):
        return trial.suggest_int(name, low, high, step=step or 1, log=log)
    return trial.suggest_float(name, low, high, step=step, log=log)

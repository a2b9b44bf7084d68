"""The version of the code that trains a candidate: another one may give another model."""

from typing import TYPE_CHECKING

from pipelines.features.code import other_kinds
from pipelines.models.code import NO_INFLUENCE, family_modules
from pipelines.reached import reached
from pipelines.stage import code_version

if TYPE_CHECKING:
    from pipelines.spec import CandidateSpec

WITHIN = (
    *("pipelines.training", "pipelines.models", "pipelines.features"),
    *("pipelines.data.input", "pipelines.evaluation.calibration"),
)
"""What can decide a training's result …"""
WITHOUT = (__name__, "pipelines.training.candidate", "pipelines.features.code", *NO_INFLUENCE)
"""… and the parts of it that only start a training or store its result."""
RECIPES = {
    "frozen": "pipelines.training.frozen",
    "finetune": "pipelines.training.finetune",
    "scratch": "pipelines.training.scratch",
    "logistic": "pipelines.training.logistic",
}
"""Recipe → its own module; an ensemble has none."""
NETWORK = "pipelines.training.train"
REGRESSION = "pipelines.training.regression_run"
AVERAGE = "pipelines.models.average"


def training_code(candidate: "CandidateSpec") -> str:
    """Version of the code that trains a candidate: its recipe's, its family's and what both use.

    The modules are found, not executed: Keras takes seconds to import.
    """
    own = [RECIPES[candidate.recipe]] if candidate.recipe in RECIPES else []
    entry = REGRESSION if candidate.recipe == "logistic" else NETWORK
    unused = _unused(candidate)
    # a recipe may use another one: `finetune` begins with the steps of `frozen`
    used = {module.__name__ for module in reached(*own, within=WITHIN, without=unused)}
    unused |= set(RECIPES.values()) - used
    modules = reached(entry, *own, within=WITHIN, without=unused)
    modules += family_modules(candidate.model)
    by_name = {module.__name__: module for module in modules}
    return code_version(*(by_name[name] for name in sorted(by_name)))


def _unused(candidate: "CandidateSpec") -> set[str]:
    averages = bool(candidate.others) or candidate.poses != "upright"
    features = other_kinds(candidate.logistic.features) if candidate.logistic else set()
    return {*WITHOUT, *features, *(() if averages else (AVERAGE,))}

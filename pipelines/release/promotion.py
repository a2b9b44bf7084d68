"""Promote a challenger if the champion is still the one it was compared with; else judge again."""

import logging

from pipelines.errors import ChampionChanged, Overtaken
from pipelines.outputs import Challenger, Prepared, Release, Verdict
from pipelines.release import gate, registry
from pipelines.spec import DatasetSpec
from pipelines.stage import Context

logger = logging.getLogger(__name__)

ATTEMPTS = 3
"""How often a promotion is tried while others promote too."""


def run(
    spec: DatasetSpec, context: Context, prepared: Prepared, challenger: Challenger
) -> Release | Verdict:
    """Make the challenger the champion.

    Where another version has become the champion since the gate's verdict, the challenger is
    judged again beside that one. If it passes, it is promoted, unless the spec wants an approval:
    a person's approval was for another comparison.

    Returns:
        What serves now, or the new verdict on a challenger that was not promoted.

    Raises:
        Overtaken: the champion changed again each time.
        NotFound: the challenger's version or run is gone.
        BundleError: its bundle is not whole.
        TrackingUnavailable: MLflow does not answer.
        StoreUnavailable: the store does not answer.
    """
    for _ in range(ATTEMPTS):
        try:
            return registry.promote(context, spec.name, challenger.version)
        except ChampionChanged as changed:
            logger.warning("%s", changed)
        verdict = gate.run(spec, context, prepared, challenger)
        if spec.approval or not verdict.passed:
            return verdict
    raise Overtaken(f"{spec.name}: the champion changed {ATTEMPTS} times during the promotion.")

"""The gate: may the challenger serve? Rules and limits are data in the spec.

Every number goes to MLflow: ``release/v<version>/verdict.json`` on the challenger's run, and a
tag for each rule on its version. Nothing here moves an alias, so a refused challenger takes
nothing from the champion.
"""

import logging
import re
import sys

from pipelines.evaluation import metrics, paired
from pipelines.outputs import Challenger, Prepared, RuleResult, Verdict
from pipelines.release import (
    approval,
    comparison,
    drops,
    judging,
    registry,
    rule,
    rules,
    subgroups,
    trust_rules,
)
from pipelines.release.card.publish import publish
from pipelines.release.judging import judge
from pipelines.release.references import References, references
from pipelines.release.report import Judgement, place
from pipelines.spec import DatasetSpec
from pipelines.stage import Context, code_version, fingerprint
from pipelines.tracking import versions
from pipelines.tracking.client import Tracking, open_tracking
from pipelines.tracking.versions import Registered

logger = logging.getLogger(__name__)

RULE = "gate: "
"""What the tag of a rule begins with."""
LONGEST_TAG = 250


def run(spec: DatasetSpec, context: Context, prepared: Prepared, challenger: Challenger) -> Verdict:
    """Judge the challenger; the same question is not asked twice.

    Raises:
        NotFound: the challenger was not evaluated, or its bundle is gone.
        BundleError: a bundle is not whole, or holds another model than was evaluated.
        TrackingUnavailable: MLflow does not answer.
        StoreUnavailable: the store does not answer.
    """
    tracking = open_tracking(context.settings)
    compared = references(tracking, spec.name, challenger.version)
    broken = _broken_already(versions.named(tracking, spec.name, challenger.version))
    identity = _identity(spec, prepared, challenger, compared=compared, broken=broken)
    if (done := _standing(tracking, challenger, identity)) is not None:
        logger.info("%s: version %d is judged already", spec.name, challenger.version)
        return done
    judgement = judge(spec, context, prepared, challenger, compared=compared, identity=identity)
    if broken:
        judgement = _refused_by(broken, judgement)
    publish(spec, context, prepared=prepared, judgement=judgement)
    with registry.releasing(context, spec.name):
        _record(tracking, challenger, judgement)
    verdict = judgement.verdict
    word = "passed" if verdict.passed else "refused"
    logger.info("%s: version %d is %s by the gate", spec.name, verdict.version, word)
    return verdict


def _identity(
    spec: DatasetSpec,
    prepared: Prepared,
    challenger: Challenger,
    *,
    compared: References,
    broken: list[RuleResult],
) -> str:
    """Identifies the question: what is judged, by what, beside whom, and what happened before."""
    asked = (challenger.id, challenger.version, prepared.id, spec.gate, spec.selection)
    beside = (compared.champion, compared.best)
    return fingerprint(*asked, *beside, _code(), *broken)


def _code() -> str:
    """What decides a verdict."""
    ours = (judging, rule, rules, drops, trust_rules, comparison, subgroups, metrics, paired)
    return code_version(sys.modules[__name__], *ours)


def _broken_already(registered: Registered) -> list[RuleResult]:
    """Rules that a version breaks by what happened to it before."""
    rejected, told = approval.rejection(registered), registered.tags.get(versions.ROLLED_BACK_TAG)
    broken = [rejected] if rejected else []
    if told is not None:
        rule = f"it was not rolled back automatically ({told})"
        broken.append(RuleResult(rule=rule, value=1.0, limit=0.0, passed=False))
    return broken


def _refused_by(broken: list[RuleResult], judgement: Judgement) -> Judgement:
    verdict = judgement.verdict
    changed = {"passed": False, "rules": [*verdict.rules, *broken]}
    return judgement.model_copy(update={"verdict": verdict.model_copy(update=changed)})


def _standing(tracking: Tracking, challenger: Challenger, identity: str) -> Verdict | None:
    file = place(challenger.version, "verdict.json")
    if not tracking.has_artifact(challenger.run_id, file):
        return None
    verdict = Judgement.model_validate(tracking.read_json(challenger.run_id, file)).verdict
    return verdict if verdict.id == identity else None


def _record(tracking: Tracking, challenger: Challenger, judgement: Judgement) -> None:
    verdict = judgement.verdict
    tags = {_tag_of(one): _told(one) for one in verdict.rules} | {
        versions.VERDICT_TAG: "passed" if verdict.passed else "refused",
        versions.COMPARED_TAG: str(verdict.champion or versions.NO_CHAMPION),
        "medloop.compared_images": str(judgement.compared_images),
        "medloop.left_out": str(judgement.left_out),
    }
    before = versions.named(tracking, verdict.dataset, verdict.version).tags
    stale = [name for name in before if name.startswith(RULE) and name not in tags]
    if verdict.passed and versions.REFUSED_TAG in before:
        stale.append(versions.REFUSED_TAG)
    if judgement.best_champion is not None:
        tags[versions.BEST_TAG] = str(judgement.best_champion)
    elif versions.BEST_TAG in before and versions.PROMOTED_TAG not in before:
        stale.append(versions.BEST_TAG)
    versions.untag(tracking, verdict.dataset, verdict.version, names=stale)
    versions.tag(tracking, verdict.dataset, verdict.version, tags=tags)
    file = place(verdict.version, "verdict.json")
    tracking.upload_json(challenger.run_id, file, judgement.model_dump(mode="json"))


def _tag_of(one: RuleResult) -> str:
    """The tag of a rule; a person's words in it may hold what MLflow takes in no tag's name."""
    return re.sub(r"[^\w\-. :/]", "", RULE + one.rule)[:LONGEST_TAG]


def _told(one: RuleResult) -> str:
    return f"{one.told} ({'passed' if one.passed else 'broken'})"

"""A person between the gate and the promotion: what is asked, and what follows from the answer.

Airflow asks (an ``ApprovalOperator``) and waits; here stand the question's words and the record of
the answer. The answer is a tag of the version, ``medloop.approval``. A version that somebody has
rejected is refused by the gate from then on, so that nobody is asked the same twice; one that
nobody answered for is asked about again by the next run.
"""

import logging
from collections.abc import Iterable
from datetime import datetime

from pydantic import BaseModel, ConfigDict

from pipelines.evaluation.metrics import OVERALL
from pipelines.outputs import Answer, Question, RuleResult, Verdict
from pipelines.release import registry, report
from pipelines.release.report import Judgement, place
from pipelines.spec import DatasetSpec
from pipelines.stage import Context, fingerprint
from pipelines.tracking import versions
from pipelines.tracking.client import Tracking, open_tracking
from pipelines.tracking.versions import Registered

logger = logging.getLogger(__name__)

APPROVE = "Approve"


class Response(BaseModel):
    """What Airflow's operator returns: its own names, and only what we read of it."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    chosen_options: list[str]
    params_input: dict[str, str | None] = {}
    responded_at: datetime
    responded_by_user: dict[str, str] | None = None


def question(spec: DatasetSpec, context: Context, verdict: Verdict) -> Question:
    """Put the evaluation's figures, champion beside challenger, before a person.

    Raises:
        NotFound: the version, or the record of its gate, is gone.
        TrackingUnavailable: MLflow does not answer.
    """
    tracking = open_tracking(context.settings)
    asked = versions.named(tracking, spec.name, verdict.version)
    content = tracking.read_json(asked.run_id, place(asked.version, "verdict.json"))
    wish = f"replace version {verdict.champion}" if verdict.champion else "serve, as the first"
    return Question(
        dataset=spec.name,
        id=fingerprint("question", verdict.id),
        version=verdict.version,
        subject=f"{spec.title}: may version {verdict.version} {wish}?",
        body=_body(spec, tracking, asked, Judgement.model_validate(content)),
    )


def settle(spec: DatasetSpec, context: Context, asked: Question, response: Response) -> Answer:
    """Record the answer on the version; one that was not approved is no challenger any more.

    Raises:
        NotFound: there is no such version.
        TrackingUnavailable: MLflow does not answer.
    """
    answer = _answer(spec, asked, response)
    tracking = open_tracking(context.settings)
    tags = {versions.APPROVAL_TAG: answer.told}
    with registry.releasing(context, spec.name):
        if answer.approved:
            _take_back(tracking, spec.name, answer.version)
        else:
            tags |= {versions.REFUSED_TAG: answer.told}
            if answer.by is not None:
                tags |= {versions.REJECTED_TAG: answer.told}
            registry.drop_challenger(tracking, spec.name, answer.version)
        versions.tag(tracking, spec.name, answer.version, tags=tags)
    _publish(tracking, spec.name, answer.version)
    logger.warning("%s: version %d was %s", spec.name, answer.version, answer.told)
    return answer


def _take_back(tracking: Tracking, dataset: str, version: int) -> None:
    """Forget an earlier no: whoever cleared the question has been asked again."""
    tags = versions.named(tracking, dataset, version).tags
    said = [name for name in (versions.REFUSED_TAG, versions.REJECTED_TAG) if name in tags]
    versions.untag(tracking, dataset, version, names=said)


def rejection(registered: Registered) -> RuleResult | None:
    """The rule that a version breaks if a person has rejected it; ``None`` if nobody has."""
    told = registered.tags.get(versions.REJECTED_TAG)
    if told is None:
        return None
    rule = f"no person has rejected it ({told})"
    return RuleResult(rule=rule, value=1.0, limit=0.0, passed=False)


def _answer(spec: DatasetSpec, asked: Question, response: Response) -> Answer:
    user = response.responded_by_user
    return Answer(
        dataset=spec.name,
        id=fingerprint("answer", asked.id, response.model_dump(mode="json")),
        version=asked.version,
        approved=response.chosen_options == [APPROVE],
        by=user["name"] if user else None,
        at=response.responded_at,
        note=(response.params_input.get("note") or "").strip(),
    )


def _publish(tracking: Tracking, dataset: str, version: int) -> None:
    champion = versions.holder(tracking, dataset, "champion")
    previous = versions.holder(tracking, dataset, "previous")
    now = champion.version if champion else None
    before = previous.version if previous and now == version else now
    before = None if before == version else before
    report.publish(tracking, versions.named(tracking, dataset, version), before=before, after=now)


def _body(spec: DatasetSpec, tracking: Tracking, asked: Registered, judgement: Judgement) -> str:
    """The question's text, in Markdown; no picture and no file name, as mails may carry it."""
    verdict = judgement.verdict
    parts = [
        f"**{asked.candidate}**, version {asked.version} of `{spec.name}`, has passed the gate and "
        f"answered well in a canary service. {_compared(judgement)}",
        _table(("figure", "challenger", "champion", "difference"), _figures(judgement)),
        "The gate's rules, with 95 % intervals:",
        _table(
            ("rule", "value", "limit"),
            ((rule.rule, rule.told, f"{rule.limit:g}") for rule in verdict.rules),
        ),
        *judgement.notes,
        f"All else: [version {asked.version} in MLflow]"
        f"({tracking.uri}/#/models/{spec.name}/versions/{asked.version}). "
        "Say why in the note; it is kept with the version.",
    ]
    return "\n\n".join(parts)


def _compared(judgement: Judgement) -> str:
    if judgement.verdict.champion is None:
        return f"Judged on {judgement.images:,} test images; there is no champion to compare with."
    return (
        f"Compared with version {judgement.verdict.champion}, which serves, on "
        f"{judgement.compared_images:,} test images that it was not trained on."
    )


def _figures(judgement: Judgement) -> Iterable[tuple[str, str, str, str]]:
    ours = judgement.challenger_compared or judgement.challenger
    theirs = judgement.champion_compared
    for name in OVERALL:
        champion = f"{theirs[name]:.4f}" if name in theirs else "–"
        apart = judgement.differences.get(name)
        said = f"{apart.value:+.4f} ({apart.low:+.4f} to {apart.high:+.4f})" if apart else "–"
        yield name.replace("_", " "), f"{ours[name]:.4f}", champion, said


def _table(head: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> str:
    lines = [head, ("---", *("---:" for _ in head[1:])), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)

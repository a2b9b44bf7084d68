"""From the best candidate to the champion in service, or to a refusal with its reasons."""

import logging
from typing import TYPE_CHECKING, Any, Literal

from pydantic import validate_call

from pipelines.alerts.alert import alert_key
from pipelines.alerts.send import resolve, send
from pipelines.errors import NotApproved, Overtaken
from pipelines.loop.opening import opened, step
from pipelines.outputs import Answer, Challenger, Prepared, Question, Release, Verdict

if TYPE_CHECKING:
    from pipelines.release.promotions import Promotion

logger = logging.getLogger(__name__)


@validate_call
@step
def gate(dataset: str, prepared: Prepared, challenger: Challenger) -> Verdict:
    """Judge the challenger by the spec's rules, beside the champion."""
    from pipelines.release import gate

    spec, context = opened(dataset)
    return gate.run(spec, context, prepared, challenger)


@validate_call
def decide(challenger: Challenger, verdict: Verdict) -> Literal["canary", "refuse", "unchanged"]:
    """Which way a run goes after the gate."""
    if challenger.standing:
        return "unchanged"
    return "canary" if verdict.passed else "refuse"


@validate_call
@step
def canary(dataset: str, challenger: Challenger) -> int:
    """Ask the real service, with the challenger's bundle, before anything moves.

    Returns:
        The version that answered well.
    """
    from pipelines.release import canary

    spec, context = opened(dataset)
    canary.run(spec, context, challenger)
    return challenger.version


@validate_call
def unchanged(dataset: str, challenger: Challenger) -> None:
    """Say that the best candidate serves already."""
    logger.info("%s: version %d is the best and serves already", dataset, challenger.version)


@validate_call
@step
def ask(dataset: str, verdict: Verdict, version: int) -> Question:
    """Word the question to a person: may the version that the canary answered with serve?"""
    from pipelines.release import approval

    assert version == verdict.version, "the canary tries the version that was judged"
    spec, context = opened(dataset)
    return approval.question(spec, context, verdict)


@validate_call
@step
def settle(dataset: str, question: Question, response: dict[str, Any]) -> Answer:
    """Record what was answered, by whom and why; tell it where it was no."""
    from pipelines.release import approval, refusals

    spec, context = opened(dataset)
    answer = approval.settle(spec, context, question, approval.Response.model_validate(response))
    if not answer.approved:
        send(context.settings, refusals.by_person(context.settings, answer))
    resolve(context.settings, alert_key("approval_wanted", dataset, f"retrain_{dataset}"))
    return answer


@validate_call
@step
def promote(
    dataset: str, version: int, *, prepared: Prepared, challenger: Challenger, approved: bool
) -> Release:
    """Make the challenger the champion, if the champion is still the one it was compared with.

    Otherwise it is judged again, beside the version that serves now. One that a person has
    approved is not promoted then: the approval was for another comparison.

    Args:
        dataset: its name.
        version: the version that the canary tried.
        prepared: the training set it was judged on.
        challenger: the same version.
        approved: whether the run has asked for an approval, and got it.

    Raises:
        NotApproved: the spec asks for an approval now, and did not when the run was planned.
        Overtaken: the gate refuses it beside the new champion, or a person has to be asked again.
    """
    from pipelines.release import promotion

    assert version == challenger.version, "the canary tries the version that was judged"
    spec, context = opened(dataset)
    if spec.approval and not approved:
        raise NotApproved(
            f"{dataset}: the spec asks for an approval since this run began, so version {version} "
            f"is not promoted. Run `medloop retrain {dataset}` to be asked."
        )
    done = promotion.run(spec, context, prepared, challenger)
    if isinstance(done, Release):
        return done
    overtaken = f"{dataset}: version {version} was overtaken by version {done.champion}"
    if not done.passed:
        refuse(dataset, done)
        raise Overtaken(f"{overtaken}, and the gate refuses it beside that one.")
    raise Overtaken(
        f"{overtaken} while it waited for an approval. It passes the gate again; run "
        f"`medloop retrain {dataset}` to ask for a new approval."
    )


@validate_call
@step
def promote_by_hand(dataset: str, version: int | None = None, *, force: bool = False) -> Release:
    """Make a version (the challenger if none is named) the champion."""
    from pipelines.release import registry

    _, context = opened(dataset)
    return registry.promote(context, dataset, version, force=force)


@validate_call
@step
def rollback(dataset: str, version: int | None = None, *, expect: int | None = None) -> Release:
    """Make the previous champion (or a named version) the champion again.

    Args:
        dataset: its name.
        version: which; the previous champion if ``None``.
        expect: the version that has to serve now, if any.
    """
    from pipelines.release import registry

    _, context = opened(dataset)
    return registry.rollback(context, dataset, version, expect=expect)


@step
def check_promotion(dataset: str) -> "Promotion | None":
    """Roll the last promotion back if its version is worse; see `release.auto_rollback.check`."""
    from pipelines.release import auto_rollback

    spec, context = opened(dataset)
    return auto_rollback.check(spec, context)


@validate_call
@step
def refuse(dataset: str, verdict: Verdict) -> Verdict:
    """Mark the challenger as refused, with the gate's reasons; the champion stays."""
    from pipelines.release import refusals, registry

    spec, context = opened(dataset)
    registry.refuse(spec, context, verdict)
    send(context.settings, refusals.by_gate(context.settings, verdict))
    return verdict

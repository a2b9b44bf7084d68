"""What a run of the retraining DAG came to, in words."""

from pipelines.cli.console import console, done
from pipelines.cli.release import show_verdict
from pipelines.errors import MedloopError
from pipelines.outputs import Answer, Enough, Verdict
from pipelines.scheduler import RunState, Scheduler

DECISIONS = {
    "promote": "promoted",
    "refuse": "refused by the gate",
    "settle": "not approved, or overtaken",
    "unchanged": "nothing better",
    "too_few": "too few new images",
}
"""The task that ran → what was decided. A promoted version has been settled too: first is told."""


OVERTAKEN = "another version became the champion meanwhile"


def decision(run: RunState) -> str | None:
    """What a run decided, in a few words; ``None`` before it has."""
    decided = (said for task, said in DECISIONS.items() if run.state_of(task) == "success")
    return next(decided, OVERTAKEN if _overtaken(run) else None)


def _overtaken(run: RunState) -> bool:
    """Whether a challenger was ready, and another version became the champion first."""
    return run.state_of("canary") == "success" and run.state_of("promote") == "skipped"


def tell(scheduler: Scheduler, dataset: str, ended: RunState, seconds: float) -> None:
    """Print what a run decided, and on what figures.

    Raises:
        MedloopError: it failed; the message names each task that did, with its reason.
    """
    failed = [task for task in ended.tasks if task.state == "failed"]
    if failed:
        reasons = (f"{t.name}: {scheduler.reason(ended.dag, ended.run, t)}" for t in failed)
        raise MedloopError("The run failed.\n" + "\n".join(reasons))
    if ended.state_of("too_few") == "success":
        enough = Enough.model_validate(scheduler.result(ended.dag, ended.run, "enough"))
        done(f"{dataset}: {enough.said}; they are in the snapshot, nothing was trained")
        return
    verdict = Verdict.model_validate(scheduler.result(ended.dag, ended.run, "gate"))
    version = f"{dataset}: version {verdict.version}"
    if ended.state_of("unchanged") == "success":
        done(f"{version} is the best and serves already ({seconds:.0f} s)")
        return
    show_verdict(verdict)
    approved = True
    if ended.state_of("settle") == "success":
        answer = Answer.model_validate(scheduler.result(ended.dag, ended.run, "settle"))
        approved = answer.approved
        _tell_answer(answer)
    if approved and _overtaken(ended):
        console.print(
            f"[bold yellow]NOT PROMOTED[/bold yellow]: {OVERTAKEN}. "
            f"`medloop retrain {dataset}` judges {version} again.",
            soft_wrap=True,
        )
    if ended.state_of("promote") == "success":
        done(f"{version} is the champion ({seconds:.0f} s)")


def _tell_answer(answer: Answer) -> None:
    if answer.approved:
        console.print(f"Version {answer.version} was {answer.told}.")
        return
    console.print(
        f"[bold yellow]NOT APPROVED[/bold yellow]: {answer.told}. The champion stays; "
        f"medloop promote {answer.dataset} {answer.version} promotes it all the same.",
        soft_wrap=True,
    )

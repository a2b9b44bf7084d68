"""What people are told when a challenger may not serve."""

from pipelines.alerts.alert import Alert
from pipelines.outputs import Answer, Verdict
from pipelines.settings import Settings


def by_gate(settings: Settings, verdict: Verdict) -> Alert:
    """The gate has refused a version."""
    reasons = "\n".join(f"- {reason}" for reason in verdict.refusals)
    return Alert(
        kind="gate_refused",
        severity="warning",
        dataset=verdict.dataset,
        subject=f"version {verdict.version}",
        title=f"{verdict.dataset}: the gate refuses version {verdict.version}",
        text=f"{_stays(verdict.champion)} These rules are broken:\n{reasons}",
        link=_page(settings, verdict.dataset, verdict.version),
    )


def by_person(settings: Settings, answer: Answer) -> Alert:
    """A version was rejected, or nobody answered for it in time."""
    return Alert(
        kind="approval_refused",
        severity="warning" if answer.by is None else "info",
        dataset=answer.dataset,
        subject=f"version {answer.version}",
        title=f"{answer.dataset}: version {answer.version} is not promoted",
        text=(
            f"It passed the gate; {answer.told}. The champion stays. To promote it all the same: "
            f"medloop promote {answer.dataset} {answer.version}."
        ),
        link=_page(settings, answer.dataset, answer.version),
    )


def _stays(champion: int | None) -> str:
    return "There is no champion yet." if champion is None else f"Version {champion} goes on."


def _page(settings: Settings, dataset: str, version: int) -> str:
    return f"{settings.tracking_uri}/#/models/{dataset}/versions/{version}"

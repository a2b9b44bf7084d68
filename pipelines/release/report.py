"""What a run of the loop came to, on one page: candidates, the gate's numbers, who serves.

The page is an artifact of the winner's run, ``release/v<version>/report.html``, beside the two
files it is drawn from: ``selection.json`` and ``verdict.json``.
"""

from collections.abc import Sequence
from html import escape

from pydantic import BaseModel, ConfigDict

from pipelines.evaluation.intervals import Interval
from pipelines.evaluation.metrics import OVERALL
from pipelines.evaluation.paired import Difference
from pipelines.outputs import Evaluated, Verdict
from pipelines.release.paired_tests import PairedTest
from pipelines.tracking import versions
from pipelines.tracking.client import Tracking
from pipelines.tracking.versions import Registered

STYLE = (
    "body{font:15px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem;"
    "color:#1a1a1a}table{border-collapse:collapse;margin:1rem 0}td,th{padding:.3rem .6rem;"
    "border-bottom:1px solid #ddd;text-align:right}td:first-child,th:first-child{text-align:left}"
    ".passed{color:#006d3c}.refused{color:#b00020}.chosen{font-weight:600}"
)

SMALLEST_P = 0.001
ONLY_RIGHT = ("only challenger right", "only champion right")


class Selection(BaseModel):
    """``selection.json``: who was compared, and by what."""

    model_config = ConfigDict(frozen=True)

    metric: str
    chosen: str
    candidates: list[Evaluated]


class Judgement(BaseModel):
    """``verdict.json``: the verdict, and what it rests on."""

    model_config = ConfigDict(frozen=True)

    verdict: Verdict
    images: int
    """Test images the challenger was judged on."""
    compared_images: int
    """Of these, how many also served to compare it with the champion."""
    left_out: int
    """Test images not compared because the champion was trained on them or on their group."""
    bundle_difference: float
    """Largest difference of a probability between bundle and Keras model."""
    challenger: dict[str, float]
    """Its figures on all test images."""
    intervals: dict[str, Interval] = {}
    """95 % intervals of the same."""
    challenger_compared: dict[str, float]
    champion_compared: dict[str, float]
    """Both on the compared images."""
    differences: dict[str, Difference] = {}
    """Figure → challenger less champion on the compared images."""
    tests: tuple[PairedTest, ...] = ()
    """What McNemar's and DeLong's tests say of the same; no rule asks them."""
    best_champion: int | None = None
    """The better of the versions it was compared with, on the selection metric."""
    notes: list[str]
    """What could not be compared or judged, and why."""


def place(version: int, name: str) -> str:
    """Artifact path of a file on the release of a version."""
    return f"release/v{version}/{name}"


def publish(
    tracking: Tracking, registered: Registered, *, before: int | None, after: int | None
) -> None:
    """Draw the report of a version and log it; one that never went through selection has none.

    Args:
        tracking: where the files are.
        registered: the version.
        before: the champion before.
        after: the champion now.
    """
    files = tracking.artifacts(registered.run_id, place(registered.version, "")[:-1])
    selection_file = place(registered.version, "selection.json")
    verdict_file = place(registered.version, "verdict.json")
    parts = [
        f"<p>Champion before: {_version(before)}. Champion now: <b>{_version(after)}</b>.</p>",
    ]
    if (approval := registered.tags.get(versions.APPROVAL_TAG)) is not None:
        parts.append(f"<p>Version {registered.version} was {escape(approval)}.</p>")
    if verdict_file in files:
        content = tracking.read_json(registered.run_id, verdict_file)
        parts.append(_gate(Judgement.model_validate(content)))
    if selection_file in files:
        content = tracking.read_json(registered.run_id, selection_file)
        parts.append(_candidates(Selection.model_validate(content)))
    page = _page(f"{registered.dataset}: version {registered.version}", parts)
    tracking.upload_text(registered.run_id, place(registered.version, "report.html"), page)


def _version(version: int | None) -> str:
    return f"version {version}" if version is not None else "none"


def _gate(judgement: Judgement) -> str:
    verdict = judgement.verdict
    word = "passed" if verdict.passed else "refused"
    rows = [
        (
            escape(rule.rule),
            rule.told,
            f"{rule.limit:g}",
            "<span class=passed>passed</span>"
            if rule.passed
            else f"<span class=refused>broken</span> {escape(rule.means)}",
        )
        for rule in verdict.rules
    ]
    compared = (
        f"Compared with version {verdict.champion} on {judgement.compared_images:,} of "
        f"{judgement.images:,} test images; {judgement.left_out:,} left out because the champion "
        "was trained on them or their group."
        if verdict.champion is not None
        else f"Judged on {judgement.images:,} test images; there was no champion to compare with."
    )
    notes = "".join(f"<p>{escape(note)}</p>" for note in judgement.notes)
    head = f"<h2>Gate: <span class={word}>{word}</span></h2><p>{compared}</p>{notes}"
    return head + _table(("rule", "value", "limit", ""), rows) + _tests(judgement)


def _tests(judgement: Judgement) -> str:
    """What others' tests say of challenger and champion, beside the gate's own intervals."""
    if not judgement.tests:
        return ""
    rows = [
        (
            escape(one.figure.replace(".", " of ", 1)),
            one.test,
            f"{one.apart.value:+.3f} ({one.apart.low:+.3f} to {one.apart.high:+.3f})",
            f"{one.apart.p:.3f}" if one.apart.p >= SMALLEST_P else f"&lt;&nbsp;{SMALLEST_P:g}",
            *("" if n is None else f"{n:,}" for n in (one.only_challenger, one.only_champion)),
        )
        for one in judgement.tests
    ]
    about = (
        "McNemar's and DeLong's tests on the same images, in Obuchowski's form for images of one "
        "patient or lesion. The rules above rest on the paired bootstrap; these are for readers "
        "who expect them. They are not corrected for being many."
    )
    head = ("figure", "test", "challenger less champion", "p", *ONLY_RIGHT)
    return f"<h2>Challenger beside champion</h2><p>{about}</p>{_table(head, rows)}"


def _candidates(selection: Selection) -> str:
    rows = []
    for one in sorted(selection.candidates, key=lambda e: -e.validation[selection.metric]):
        name = escape(one.candidate)
        if one.candidate == selection.chosen:
            name = f"<span class=chosen>{name}</span> (chosen)"
        elif not one.servable:
            name = f"{name} (for comparison: it cannot serve)"
        figures = (f"{one.test[metric]:.4f}" for metric in OVERALL)
        rows.append((name, f"{one.validation[selection.metric]:.4f}", *figures))
    shown = (f"test {metric}".replace("_", " ") for metric in OVERALL)
    judged = f"validation {selection.metric}".replace("_", " ")
    table = _table(("candidate", judged, *shown), rows)
    return f"<h2>Candidates</h2>{table}"


def _table(head: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> str:
    top = "".join(f"<th>{cell}</th>" for cell in head)
    body = "".join("<tr>" + "".join(f"<td>{c}</td>" for c in row) + "</tr>" for row in rows)
    return f"<table><tr>{top}</tr>{body}</table>"


def _page(title: str, parts: list[str]) -> str:
    return (
        f"<!doctype html><html lang=en><meta charset=utf-8><title>{escape(title)}</title>"
        f"<style>{STYLE}</style><h1>{escape(title)}</h1>{''.join(parts)}</html>\n"
    )

"""What came out: the card's results and limitations."""

from pipelines.documents.document import Block, Grid, Points, Section, Text, Warnings
from pipelines.evaluation.report import by_class, operating_point, overall
from pipelines.evidence.finding import Finding
from pipelines.release.card.known import Known

FULL = ("subgroups", "external")
"""Kinds of evidence whose tables stand on the card; the others' are in the evaluation report."""
ASKED = "test_uses"


def results(known: Known) -> Section:
    """Performance, the gate, and each kind of evidence."""
    found = known.evaluation.evidence
    missing = () if "external" in found else (_no_external(),)
    return Section(
        "Results",
        sections=(
            Section(
                "Model performance as served",
                (overall(known.evaluation), by_class(known.evaluation)),
            ),
            Section("The operating point", operating_point(known.evaluation)),
            Section("The gate's decision", _gate(known)),
            *(_evidence(kind, finding) for kind, finding in found.items()),
            *missing,
        ),
    )


def limits(known: Known) -> Section:
    """What is known to be wrong or missing."""
    warned = tuple(w for one in known.evaluation.evidence.values() for w in one.warnings)
    unjudged = tuple(known.judgement.notes)
    told = (*known.spec.card.limits, *unjudged)
    if ASKED not in known.evaluation.evidence:
        told = (*told, "How often the test set was asked is not known.")
    blocks: list[Block] = [Warnings(warned)] if warned else []
    blocks += [Points(told)] if told else []
    return Section("Discussion: limitations", tuple(blocks) or (Text("None are known."),))


def _gate(known: Known) -> tuple[Block, ...]:
    judgement = known.judgement
    verdict = judgement.verdict
    word = "passed" if verdict.passed else "was refused by"
    beside = (
        f"compared with version {verdict.champion} on {judgement.compared_images:,} images"
        if verdict.champion is not None
        else "there was no champion to compare it with"
    )
    rows = tuple(
        (one.rule, one.told, f"{one.limit:g}", "kept" if one.passed else "broken")
        for one in verdict.rules
    )
    said = f"Version {known.version} {word} the gate on {judgement.images:,} test images; {beside}."
    return (
        Text(said),
        Grid("Rules, with 95 % intervals", ("rule", "value", "limit", ""), rows),
    )


def _evidence(kind: str, finding: Finding) -> Section:
    blocks: list[Block] = [Text(finding.about)]
    blocks += [Points(finding.said)] if finding.said else []
    blocks += [Warnings(finding.warnings)] if finding.warnings else []
    if kind in FULL:
        blocks += [Grid(table.title, table.columns, table.rows) for table in finding.tables]
    return Section(finding.title, tuple(blocks))


def _no_external() -> Section:
    said = "Not done: how it does on images from elsewhere is not known."
    return Section("External validation", (Text(said),))

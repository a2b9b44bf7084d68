"""The whole card, and its short form."""

from pipelines.documents.document import Document, Points, Section, Text, Warnings
from pipelines.evaluation.report import with_interval
from pipelines.release.card.known import UNKNOWN, Known
from pipelines.release.card.methods import methods
from pipelines.release.card.results import limits, results

BASIS = (
    "Headings follow CLAIM (Mongan, Moy and Kahn, Radiology: Artificial Intelligence 2020; update "
    "2024) and TRIPOD+AI (Collins et al., BMJ 2024). Drawn from what was recorded; what nobody "
    "recorded is called not known."
)
MOST_WARNINGS = 5


def document(known: Known) -> Document:
    """The card."""
    spec = known.spec
    return Document(
        title=f"Model card: {spec.title}, version {known.version}",
        lead=(Text(summary(known)), Warnings((spec.disclaimer,))),
        sections=(
            Section("Introduction: intended use", (_use(known),)),
            methods(known),
            results(known),
            limits(known),
            Section("Other information", (_other(known),)),
        ),
        foot=BASIS,
    )


def summary(known: Known) -> str:
    """The card in a few sentences."""
    spec, test = known.spec, known.evaluation.splits["test"]
    figures = ", ".join(
        f"{name.replace('_', ' ')} {with_interval(test, name)}"
        for name in ("accuracy", "macro_sensitivity", "macro_auroc")
    )
    word = "passed" if known.judgement.verdict.passed else "was refused by"
    synthetic = " Synthetic data." if spec.synthetic else ""
    return (
        f"{known.candidate} tells {', '.join(c.title.lower() for c in spec.classes)} apart on one "
        f"image.{synthetic} On {test.images:,} test images of {test.groups:,} patients, lesions or "
        f"clusters of copies, none of them trained on: {figures}. {known.evaluation.decided_by} It "
        f"{word} the gate."
    )


def short(known: Known) -> str:
    """The short form, for the version's page in MLflow; Markdown."""
    warned = [w for one in known.evaluation.evidence.values() for w in one.warnings]
    lines = [summary(known), "", f"Intended use: {known.spec.card.intended_use or UNKNOWN}"]
    if warned:
        lines += ["", "To know before trusting it:", *(f"- {w}" for w in warned[:MOST_WARNINGS])]
    if len(warned) > MOST_WARNINGS:
        lines.append(f"- … and {len(warned) - MOST_WARNINGS} more")
    lines += ["", f"The whole card: artifact `release/v{known.version}/card.md` of the run."]
    return "\n".join(lines)


def _use(known: Known) -> Points:
    card = known.spec.card
    return Points(
        (
            f"Intended use: {card.intended_use or UNKNOWN}",
            f"Users: {card.users or UNKNOWN}",
            *(f"Not for: {no}" for no in card.not_for or (UNKNOWN,)),
            f"Answers: it abstains where the certainty of its decision is below "
            f"{known.spec.abstention.min_confidence:g} or the image is unlike its training images.",
        )
    )


def _other(known: Known) -> Points:
    card = known.spec.card
    return Points(
        (
            f"Registered protocol: {UNKNOWN}",
            f"Funding: {card.funding or UNKNOWN}",
            f"Whom to tell of a wrong answer: {card.contact or UNKNOWN}",
            f"Where all of it stands: MLflow run {known.run_id}, version {known.version} of "
            f"{known.spec.name}.",
        )
    )

"""What a model card says, and what it does not make up."""

from dataclasses import replace

import pytest

from pipelines.documents.html import page as html_page
from pipelines.documents.markdown import text
from pipelines.evaluation.intervals import Interval
from pipelines.evaluation.record import Evaluation, SplitFigures
from pipelines.evidence.finding import Finding, Table
from pipelines.outputs import RuleResult, Split, Verdict
from pipelines.release.card.known import Known
from pipelines.release.card.page import document, short
from pipelines.release.report import Judgement
from tests.pipelines.data.small_collection import CLASSES, small_spec

CARD = {
    "intended_use": "Telling bright from dark in tests.",
    "not_for": ["Anything else."],
    "limits": ["Noise only."],
}
OVERALL = ("accuracy", "macro_f1", "macro_sensitivity", "macro_specificity", "macro_auroc")
BY_CLASS = ("sensitivity", "specificity", "precision", "npv", "f1", "auroc", "auprc")


def figures() -> SplitFigures:
    names = [*OVERALL, "macro_auprc", "ece", *(f"{m}.{c}" for m in BY_CLASS for c in CLASSES)]
    return SplitFigures(
        images=8,
        groups=7,
        figures=dict.fromkeys(names, 0.75),
        intervals=dict.fromkeys(names, Interval(0.5, 0.9)),
        confusion=[[3, 1], [1, 3]],
    )


@pytest.fixture
def known() -> Known:
    """All that can be known of a version that was refused."""
    rule = RuleResult(rule="accuracy is at least 0.8", value=0.75, limit=0.8, passed=False)
    verdict = Verdict(dataset="small", id="v", version=3, passed=False, champion=None, rules=[rule])
    groups = Table(title="By sex", columns=("subgroup", "accuracy"), rows=(("female", 0.5),))
    evidence = {
        "subgroups": Finding(title="Subgroups", about="How.", tables=(groups,)),
        "leaks": Finding(title="Leaks", about="How.", said=("None.",), warnings=("Beware.",)),
    }
    return Known(
        spec=small_spec(card=CARD),
        version=3,
        candidate="a",
        run_id="run",
        trained_at="2026-11-21",
        params={"candidate.model": "small_cnn", "candidate.epochs": "7", "seed": "17"},
        tags={"medloop.git_commit": "abc"},
        evaluation=Evaluation(
            id="e",
            candidate="a",
            run_id="run",
            classes=CLASSES,
            prepared="small/prepared/one",
            model_sha256="00",
            resamples=1000,
            splits={"test": figures(), "validation": figures()},
            evidence=evidence,
        ),
        judgement=Judgement(
            verdict=verdict,
            images=8,
            compared_images=0,
            left_out=0,
            bundle_difference=0,
            challenger={},
            challenger_compared={},
            champion_compared={},
            notes=["Not judged: the heat."],
        ),
        snapshot=None,
        split=Split(
            dataset="small",
            id="s",
            snapshot="small/snapshots/1",
            path="small/splits/s",
            counts={
                "train": {"bright": 1200, "dark": 2},
                "validation": {"bright": 3, "dark": 4},
                "test": {"bright": 5, "dark": 6},
            },
            exact_duplicates=1,
            near_duplicates=2,
            leaks=0,
        ),
    )


def test_its_headings_are_those_of_the_checklists_in_their_order(known: Known) -> None:
    lines = text(document(known)).splitlines()

    assert [line for line in lines if line.startswith("#")] == [
        "# Model card: Small, version 3",
        "## Introduction: intended use",
        "## Methods",
        "### Data",
        "### Reference standard",
        "### Data partitions",
        "### Model",
        "### Training",
        "### Evaluation",
        "## Results",
        "### Model performance as served",
        "### The operating point",
        "### The gate's decision",
        "### Subgroups",
        "### Leaks",
        "### External validation",
        "## Discussion: limitations",
        "## Other information",
    ]


def test_it_says_what_spec_split_run_and_gate_know(known: Known) -> None:
    card = text(document(known))

    assert "Intended use: Telling bright from dark in tests." in card
    assert "- Not for: Anything else." in card
    assert "| bright | 1,200 | 3 | 5 |" in card
    assert "Architecture: small_cnn." in card
    assert "| epochs | 7 |" in card
    assert "code abc" in card
    assert "| accuracy | 0.750 (0.500 to 0.900) |" in card
    assert "Version 3 was refused by the gate on 8 test images" in card
    assert "| accuracy is at least 0.8 | 0.7500 | 0.8 | broken |" in card
    assert "| female | 0.500 |" in card


def test_what_nobody_knows_is_called_so_and_never_made_up(known: Known) -> None:
    card = text(document(known))

    assert "Users: Not known." in card
    assert "Population, dates, who was taken in: Not known." in card
    assert "Who said which class: Not known." in card
    assert "Images taken in: Not known." in card
    assert "Funding: Not known." in card
    assert "how it does on images from elsewhere is not known" in card
    assert "How often the test set was asked is not known." in card
    assert "### Data partitions\n\nNot known." in text(document(replace(known, split=None)))


def test_every_warning_and_limit_stands_among_the_limitations(known: Known) -> None:
    limits = text(document(known)).partition("## Discussion: limitations")[2]

    assert "Beware." in limits
    assert "- Noise only." in limits
    assert "- Not judged: the heat." in limits


def test_its_short_form_fits_a_versions_page(known: Known) -> None:
    said = short(known)

    assert "accuracy 0.750 (0.500 to 0.900)" in said
    assert "It was refused by the gate." in said
    assert "- Beware." in said
    assert "release/v3/card.md" in said


def test_it_can_be_drawn_as_html(known: Known) -> None:
    assert '<th scope="row">bright</th><td>1,200</td>' in html_page(document(known))

"""A page as Markdown."""

from pathlib import Path

from pipelines.documents.document import (
    Document,
    Grid,
    Picture,
    Points,
    Section,
    Text,
    Warnings,
)
from pipelines.documents.markdown import text


def test_headings_lists_tables_and_captions_stand_in_order() -> None:
    grid = Grid("Figures", ("figure", "value"), (("a|b", 0.5), ("none", None), ("n", 1000)))
    inner = Section("Inner", (Picture(Path("/tmp/heat.png"), "The heat."), Warnings(("mind",))))
    page = Document(
        "Title", (Text("Lead."),), (Section("Outer", (Points(("x",)), grid), (inner,)),)
    )

    assert text(page) == (
        "# Title\n\nLead.\n\n## Outer\n\n- x\n\n**Figures**\n\n| figure | value |\n"
        "| --- | ---: |\n| a\\|b | 0.500 |\n| none | – |\n| n | 1,000 |\n\n### Inner\n\n"
        "*The heat.* (`figures/heat.png`)\n\n> - **mind**\n"
    )


def test_the_foot_stands_below_a_line() -> None:
    assert text(Document("T", (), (), foot="F.")) == "# T\n\n---\n\nF.\n"

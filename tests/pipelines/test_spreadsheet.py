"""No text from outside becomes a formula in a CSV file of ours, and all of it can be read back."""

import ast
import csv
import io
from pathlib import Path

import pytest

from pipelines.settings import PROJECT
from pipelines.spreadsheet import original, safe, write_csv

FORMULAS = [
    "=cmd|' /C calc'!A0",
    "+1+1.png",
    "-2+3",
    "@SUM(A1)",
    "\t=1",
    "\r=1",
    "\n=1",
    " =HYPERLINK(1)",
    "\ufeff=1",
    "\uff1d1",
    "'=1",
    "|x",
]
PLAIN: list[object] = [
    "scan-1.png",
    "a=b",
    "-1.5",
    "+2e3",
    "'quoted'",
    "",
    -1.5,
    None,
    True,
    "ödem",
]
WRITERS = {"writer", "DictWriter", "to_csv", "to_excel"}


@pytest.mark.parametrize("text", FORMULAS)
def test_text_that_begins_like_a_formula_is_shown_as_text(text: str) -> None:
    file = io.StringIO()

    write_csv(file, ["path"], [{"path": text, "more": 1}])

    _, (cell,) = csv.reader(io.StringIO(file.getvalue(), newline=""))
    assert cell == f"'{text}"
    assert original(cell) == text


@pytest.mark.parametrize("value", PLAIN)
def test_other_values_stay_as_they_are(value: object) -> None:
    assert safe(value) == value
    assert not isinstance(value, str) or original(value) == value


def test_a_figure_that_is_not_known_is_an_empty_cell() -> None:
    assert safe(float("nan")) == ""


def test_every_csv_file_is_written_by_the_one_helper() -> None:
    found = []
    for folder in ("pipelines", "serving", "stack", "dags", "expectations"):
        for path in sorted((PROJECT / folder).rglob("*.py")):
            for node in ast.walk(ast.parse(path.read_text("utf-8"))):
                if isinstance(node, ast.Attribute) and node.attr in WRITERS:
                    found.append(path.relative_to(PROJECT))
    scripts = [path.name for path in (PROJECT / "serving" / "web").glob("*.js") if _csv(path)]

    assert set(found) == {Path("pipelines/spreadsheet.py")}
    assert scripts == ["history.js"]
    assert 'from "./csv.js"' in (PROJECT / "serving" / "web" / "history.js").read_text("utf-8")


def _csv(path: Path) -> bool:
    return "text/csv" in path.read_text("utf-8")

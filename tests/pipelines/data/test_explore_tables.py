"""The Python of docs/explore-tables.md runs, in the order of the page."""

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from pipelines.data.land import ingest, landing
from pipelines.stage import Context
from tests.pipelines.data.landing_folders import class_folders, spec

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

PAGE = Path(__file__).resolve().parents[3] / "docs" / "explore-tables.md"


def test_every_snippet_runs(
    context: Context, tmp_path: Path, spark: "SparkSession", capsys: pytest.CaptureFixture[str]
) -> None:
    assert spark.getActiveSession() is not None
    folder = str(class_folders(tmp_path / "landing"))
    ingest.run(spec(), context, landing.run(spec(), context, folder))
    text = PAGE.read_text("utf-8")
    snippets = re.findall(r"^```python\n(.*?)^```", text, re.DOTALL | re.MULTILINE)
    known: dict[str, Any] = {}
    for snippet in snippets:
        exec(snippet.replace("phantom", "pets"), known)
    shown = capsys.readouterr().out
    assert len(snippets) == 3
    assert shown.count("cat") == shown.count("dog") == 4

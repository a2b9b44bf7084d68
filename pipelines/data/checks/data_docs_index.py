"""The index page of Data Docs: all runs, newest first, in one file that needs no network.

The index of Great Expectations loads scripts from the network and is blank without them.
"""

import json
from dataclasses import dataclass
from datetime import datetime
from html import escape
from pathlib import Path
from string import Template

from pipelines.atomic import written_whole
from pipelines.data.checks import findings

PAGE = Template("""<!DOCTYPE html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Medloop data checks</title>
<style>
  body { font: 16px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto; }
  table { border-collapse: collapse; width: 100%; }
  th, td { text-align: left; padding: .4rem .75rem; border-bottom: 1px solid #d0d7de; }
  .passed { color: #1a7f37; } .failed { color: #cf222e; font-weight: 600; }
</style>
<h1>Data checks</h1>
<p>Each run of an expectation suite at a gate of the loop, the newest first.</p>
<table>
<thead><tr><th>Time (UTC)<th>Suite<th>Run<th>Expectations met<th>Result</tr></thead>
<tbody>
$rows
</tbody>
</table>
</html>
""")

ROW = Template(
    '<tr><td>$time<td><a href="$page">$suite</a><td>$run<td>$met of $expectations'
    '<td class="$result">$result</tr>'
)


@dataclass(frozen=True)
class Run:
    """One result, and the path of its page in the site."""

    time: datetime
    suite: str
    name: str
    passed: bool
    met: int
    expectations: int
    page: str


def write_index(results: Path, site: Path) -> Path:
    """Write ``index.html`` of a site.

    Args:
        results: folder of Great Expectations' validation results.
        site: folder of the site, whose ``validations`` mirror the results.
    """
    listed = (_run(results, file) for file in results.rglob("*.json"))
    runs = [run for run in listed if (site / run.page).is_file()]
    runs.sort(key=lambda run: run.time, reverse=True)
    index = site / "index.html"
    with written_whole(index) as part:
        part.write_text(PAGE.substitute(rows="\n".join(map(_row, runs))), "utf-8")
    return index


def _run(results: Path, file: Path) -> Run:
    content = json.loads(file.read_text("utf-8"))
    statistics, run = content["statistics"], content["meta"]["run_id"]
    return Run(
        time=datetime.fromisoformat(run["run_time"]),
        suite=content["suite_name"],
        name=run["run_name"],
        passed=not any(findings.stops(finding) for finding in content["results"]),
        met=statistics["successful_expectations"],
        expectations=statistics["evaluated_expectations"],
        page=f"validations/{file.relative_to(results).with_suffix('.html').as_posix()}",
    )


def _row(run: Run) -> str:
    return ROW.substitute(
        time=f"{run.time:%Y-%m-%d %H:%M:%S}",
        page=escape(run.page),
        suite=escape(run.suite),
        run=escape(run.name),
        met=run.met,
        expectations=run.expectations,
        result="passed" if run.passed else "failed",
    )

"""Validates landings, snapshots and prepared images against expectation suites.

Each check validates a table of metadata with Great Expectations. The store keeps the result, and
the Data Docs of this installation keep the page. Passed checks do not run again; failed ones do,
because the data may have been corrected in place.
"""

import logging
import sys
from collections.abc import Callable
from types import ModuleType
from typing import TYPE_CHECKING, Any

import pandas as pd

import expectations.images
import expectations.landing
import expectations.prepared
import expectations.snapshot
from pipelines.data.checks import check_tables, findings
from pipelines.data.checks.data_docs import DataDocs
from pipelines.errors import CheckFailed
from pipelines.outputs import CheckReport, Gate, Landing, Prepared, Snapshot, Split
from pipelines.spec import DatasetSpec
from pipelines.stage import MANIFEST, Context, Output, code_version, existing_output

if TYPE_CHECKING:
    from great_expectations import ExpectationSuite

logger = logging.getLogger(__name__)


def check_landing(spec: DatasetSpec, context: Context, landing: Landing) -> CheckReport:
    """Validate a landing, before it is ingested.

    Raises:
        CheckFailed: an expectation of ``expectations/landing.py`` is not met.
    """
    return _check(
        spec,
        context,
        gate="landing",
        inputs=[landing],
        suite=expectations.landing,
        table=lambda: check_tables.landing_table(context, landing),
    )


def check_snapshot(
    spec: DatasetSpec, context: Context, snapshot: Snapshot, split: Split
) -> CheckReport:
    """Validate a snapshot and its split, before images are prepared.

    Raises:
        CheckFailed: an expectation of ``expectations/snapshot.py`` is not met.
    """
    return _check(
        spec,
        context,
        gate="snapshot",
        inputs=[snapshot, split],
        suite=expectations.snapshot,
        table=lambda: check_tables.snapshot_table(context, snapshot, split),
    )


def check_prepared(spec: DatasetSpec, context: Context, prepared: Prepared) -> CheckReport:
    """Validate prepared images, before training.

    Raises:
        CheckFailed: an expectation of ``expectations/prepared.py`` is not met.
    """
    return _check(
        spec,
        context,
        gate="prepared",
        inputs=[prepared],
        suite=expectations.prepared,
        table=lambda: check_tables.prepared_table(context, prepared, spec.class_names),
    )


def _check(
    spec: DatasetSpec,
    context: Context,
    *,
    gate: Gate,
    inputs: list[Output],
    suite: ModuleType,
    table: Callable[[], pd.DataFrame],
) -> CheckReport:
    limits = (spec.checks, spec.limits, spec.class_names, spec.image.size)
    identity = context.identity(gate, [output.id for output in inputs], *limits, _code(suite))
    path = f"{spec.name}/checks/{gate}/{identity}"
    docs = DataDocs(context.settings.home)
    report = existing_output(context, path, CheckReport)
    page = docs.page(f"{spec.name}.{gate}", identity)
    if report is not None and report.passed and page is not None:
        logger.info("The %s suite of %s: %s passed before", gate, spec.name, inputs[-1].id)
        return _require_passed(report.model_copy(update={"data_docs": str(page)}))
    logger.info("Checking %s of %s against the %s suite", inputs[-1].id, spec.name, gate)
    # Great Expectations logs a hundred lines about its imports.
    logging.getLogger("great_expectations").setLevel(logging.WARNING)
    expected: ExpectationSuite = suite.suite(spec)
    result, page = docs.validate(
        table(),
        expected,
        run=identity,
        rows_of=f"{spec.name}-{inputs[-1].id}",
        names=["part", "source_path"] if gate == "prepared" else ["source_path"],
    )
    order = [expectation.description for expectation in expected.expectations]
    report = CheckReport(
        dataset=spec.name,
        id=identity,
        gate=gate,
        passed=not any(findings.stops(finding) for finding in result["results"]),
        expectations=len(result["results"]),
        failed=_sentences(result["results"], order, stopping=True),
        warnings=_sentences(result["results"], order, stopping=False),
        data_docs=str(page),
    )
    with context.store.recommit(path) as staging:
        context.store.write_json(f"{staging}/result.json", result)
        context.store.write_json(
            f"{staging}/{MANIFEST}",
            {"output": report.model_dump(mode="json"), "inputs": [x.model_dump() for x in inputs]},
        )
    return _require_passed(report)


def _code(suite: ModuleType) -> str:
    """Version of the code that decides the result of a suite."""
    return code_version(sys.modules[__name__], suite, expectations.images, check_tables)


def _sentences(results: list[dict[str, Any]], order: list[str], *, stopping: bool) -> list[str]:
    """A sentence for each unmet expectation of one severity, in the order of the suite."""
    unmet = [
        finding
        for finding in results
        if not finding["success"] and findings.is_warning(finding) is not stopping
    ]
    unmet.sort(key=lambda finding: order.index(findings.expected(finding)))
    return [findings.sentence(finding) for finding in unmet]


def _require_passed(report: CheckReport) -> CheckReport:
    """The report, if the suite passed.

    Raises:
        CheckFailed: the suite did not pass.
    """
    if report.passed:
        for warning in report.warnings:
            logger.warning("%s, %s: %s", report.dataset, report.gate, warning)
        return report
    unmet = "\n".join(f"  - {sentence}" for sentence in report.failed)
    raise CheckFailed(
        f"{report.dataset}: the {report.gate} suite is not met "
        f"({len(report.failed)} of {report.expectations} expectations):\n{unmet}\n"
        f"Correct the data, or change the tolerance in datasets/{report.dataset}.yaml (checks, "
        f"limits). Report: {report.data_docs}"
    )

"""The gates: landing, snapshot and prepared images held against their expectation suites.

Each check reads a table of metadata, never pixels by Spark, and asks Great Expectations. The
result is kept in the store, its page in this installation's Data Docs. What passed once is not
checked again; what failed is, since it may have been mended in place.
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
    """Judge what landed, before anything enters.

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
    """Judge a snapshot and its split, before anything is prepared.

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
    """Judge prepared images, before anything is trained.

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
        logger.info("The %s suite of %s has judged %s already", gate, spec.name, inputs[-1].id)
        return _accept(report.model_copy(update={"data_docs": str(page)}))
    logger.info("Checking %s of %s against the %s suite", inputs[-1].id, spec.name, gate)
    # Great Expectations logs what it imports, a hundred lines of it.
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
    return _accept(report)


def _code(suite: ModuleType) -> str:
    """What decides whether a suite is met."""
    return code_version(sys.modules[__name__], suite, expectations.images, check_tables)


def _sentences(results: list[dict[str, Any]], order: list[str], *, stopping: bool) -> list[str]:
    """A sentence for each expectation of one severity that was not met, in the suite's order."""
    unmet = [
        finding
        for finding in results
        if not finding["success"] and findings.is_warning(finding) is not stopping
    ]
    unmet.sort(key=lambda finding: order.index(findings.expected(finding)))
    return [findings.sentence(finding) for finding in unmet]


def _accept(report: CheckReport) -> CheckReport:
    """The report of a suite that passed.

    Raises:
        CheckFailed: it did not.
    """
    if report.passed:
        for warning in report.warnings:
            logger.warning("%s, %s: %s", report.dataset, report.gate, warning)
        return report
    unmet = "\n".join(f"  - {said}" for said in report.failed)
    raise CheckFailed(
        f"{report.dataset}: the {report.gate} suite is not met "
        f"({len(report.failed)} of {report.expectations} expectations):\n{unmet}\n"
        f"Mend the data, or change the tolerance in datasets/{report.dataset}.yaml (checks, "
        f"limits). Report: {report.data_docs}"
    )

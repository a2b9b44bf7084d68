"""A run that makes all anew: its own names, the same content, and what stood stays."""

from dataclasses import replace
from pathlib import Path
from typing import Any

from pipelines.data.checks import checks
from pipelines.data.land import ingest, landing
from pipelines.data.split import split
from pipelines.outputs import Split
from pipelines.stage import Context
from tests.pipelines.data.landing_folders import class_folders, spec
from tests.pipelines.data.recorded import members_of

LENIENT = {"checks": {"min_per_class": 2}}


def content(context: Context, divided: Split) -> list[dict[str, Any]]:
    return members_of(context, divided.path)


def test_a_fresh_run_divides_anew_and_alike_and_a_retry_in_it_does_nothing(
    context: Context, tmp_path: Path
) -> None:
    class_folders(tmp_path / "landing", per_class=8)
    fresh = replace(context, fresh="manual__2026-11-21")
    landed = landing.run(spec(), context, str(tmp_path / "landing"))
    snapshot = ingest.run(spec(), context, landed)
    stood = split.run(spec(), context, snapshot)

    # A landing and a snapshot are what landed, not what was computed of it.
    assert landing.run(spec(), fresh, str(tmp_path / "landing")) == landed
    assert ingest.run(spec(), fresh, landed) == snapshot
    made = split.run(spec(), fresh, snapshot)

    assert made.id != stood.id
    assert content(context, made) == content(context, stood)
    assert split.run(spec(), fresh, snapshot) == made
    assert split.run(spec(), context, snapshot) == stood
    assert len(context.store.names(f"{spec().name}/splits")) == 2


def test_a_fresh_run_opens_files_again_and_checks_them_again(
    context: Context, tmp_path: Path
) -> None:
    class_folders(tmp_path / "landing", per_class=8)
    fresh = replace(context, fresh="manual__2026-11-21")
    landed = landing.run(spec(**LENIENT), context, str(tmp_path / "landing"))
    first = checks.check_landing(spec(**LENIENT), context, landed)

    again = checks.check_landing(spec(**LENIENT), fresh, landed)

    assert again.id != first.id
    assert (again.passed, again.expectations) == (first.passed, first.expectations)

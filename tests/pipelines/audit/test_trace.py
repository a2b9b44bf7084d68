"""From a request id back to the data, whatever of the installation is away."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from pipelines.audit.entries import (
    ANSWERS,
    REFUSALS,
    AnsweredEntry,
    RefusedEntry,
    audit_folder,
    find_answers,
)
from pipelines.audit.trace import trace
from pipelines.errors import NotFound
from pipelines.release.bundle import note_former, read_manifest, write_manifest
from pipelines.settings import Settings
from pipelines.stage import Context
from tests.serving.bundles import make_bundle
from tests.serving.publishing import publish

REQUEST = "0123456789abcdef"


@pytest.fixture
def kept(context: Context) -> Path:
    """A bundle that served here."""
    return make_bundle(context.settings.bundles / "phantom" / "1-run")


@pytest.fixture
def stored(context: Context) -> None:
    """The manifests of its training data."""
    for path, output in (("snapshots/0001-aa", {"images": 1200}), ("splits/bb", {"leaks": 7})):
        manifest = json.dumps({"output": output}).encode()
        context.store.write(f"phantom/{path}/manifest.json", manifest)


def note(
    context: Context, bundle: Path, *, request_id: str = REQUEST, file: str = ANSWERS
) -> AnsweredEntry:
    """Add a line to the audit log, as the service does."""
    manifest = read_manifest(bundle)
    entry = AnsweredEntry(
        request_id=request_id,
        token="viewer",
        address="10.0.0.9",
        path="/predict",
        milliseconds=4.2,
        dataset=manifest.dataset,
        model_version=1,
        run_id=manifest.run_id,
        bundle=manifest.digest,
        sha256="ab" * 32,
        class_name="haze",
        confidence=0.75,
        abstained=False,
    )
    append(context.settings, file, entry.model_dump_json(by_alias=True))
    return entry


def append(settings: Settings, file: str, line: str) -> None:
    folder = audit_folder(settings)
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / file).open("a", encoding="utf-8") as log:
        log.write(line + "\n")


@pytest.mark.usefixtures("stored")
def test_an_answer_leads_to_all_it_came_from(context: Context, kept: Path) -> None:
    entry = note(context, kept)
    found = trace(context, REQUEST)
    assert found.answers == [entry]
    assert found.origin is not None
    assert found.origin.git_commit == "0" * 40
    assert (found.origin.candidate, found.origin.run_id) == ("tiny", "run")
    assert found.snapshot == {"images": 1200}
    assert found.split == {"leaks": 7}
    assert found.gaps == []


@pytest.mark.usefixtures("stored")
def test_the_right_one_of_several_bundles_is_found(context: Context, kept: Path) -> None:
    other = make_bundle(context.settings.bundles / "phantom" / "2-other", seed=5, run_id="other")
    note(context, other)
    assert kept.exists()
    found = trace(context, REQUEST)
    assert found.origin is not None
    assert found.origin.run_id == "other"


def test_lines_in_files_put_aside_and_beside_torn_ones_are_found(
    context: Context, kept: Path
) -> None:
    append(context.settings, f"{ANSWERS}.3", f'{{"request_id": "{REQUEST}", "tok')
    entry = note(context, kept, file=f"{ANSWERS}.3")
    note(context, kept, request_id="f" * 16)
    assert find_answers(audit_folder(context.settings), REQUEST) == [entry]


def test_another_field_that_holds_the_id_is_no_match(context: Context, kept: Path) -> None:
    note(context, kept)
    with pytest.raises(NotFound):
        trace(context, "ab" * 8)


def test_data_that_is_away_is_told_and_stops_nothing(context: Context, kept: Path) -> None:
    note(context, kept)
    found = trace(context, REQUEST)
    assert found.origin is not None
    assert [gap.partition(":")[0] for gap in found.gaps] == [
        *("phantom/snapshots/0001-aa", "phantom/splits/bb")
    ]


def test_a_bundle_of_another_format_is_still_read(context: Context, kept: Path) -> None:
    note(context, kept)
    manifest = json.loads((kept / "bundle.json").read_text("utf-8"))
    manifest |= {"format_version": 99, "something": "new"}
    (kept / "bundle.json").write_text(json.dumps(manifest), encoding="utf-8")
    found = trace(context, REQUEST)
    assert found.origin is not None
    assert found.origin.candidate == "tiny"


def test_a_refusal_is_told_with_its_reason(context: Context) -> None:
    entry = RefusedEntry(
        request_id=REQUEST,
        token=None,
        address=None,
        path="/predict",
        milliseconds=1,
        status=415,
        code="unknown_format",
    )
    append(context.settings, REFUSALS, entry.model_dump_json())
    found = trace(context, REQUEST)
    assert found.refusals == [entry]
    assert found.origin is None


def test_an_unknown_id_says_where_was_looked(context: Context) -> None:
    with pytest.raises(NotFound, match=str(audit_folder(context.settings))):
        trace(context, "nobody")


def test_a_bundle_that_is_kept_nowhere_is_fetched_from_mlflow(
    mlflow_server: Settings, context: Context, tmp_path: Path
) -> None:
    settings = context.settings.model_copy(update={"mlflow_uri": mlflow_server.tracking_uri})
    here = Context(settings=settings, store=context.store)
    version = publish(settings, tmp_path / "made", dataset="traced", seed=1)
    entry = note(here, tmp_path / "made").model_copy(update={"model_version": version})
    shutil.rmtree(audit_folder(settings))
    append(settings, ANSWERS, entry.model_dump_json(by_alias=True))
    found = trace(here, REQUEST)
    assert found.origin is not None
    assert found.origin.run_id == entry.run_id


def test_the_command_prints_it_for_people_and_for_programs(context: Context, kept: Path) -> None:
    entry = note(context, kept)
    told = medloop(context.settings, "trace", REQUEST)
    for said in (
        "haze",
        entry.sha256,
        entry.bundle,
        "0" * 40,
        "phantom/snapshots/0001-aa",
        "viewer",
    ):
        assert said in told.stdout
    read = json.loads(medloop(context.settings, "trace", REQUEST, "--json").stdout)
    assert read["answers"][0]["class"] == "haze"
    assert read["origin"]["candidate"] == "tiny"
    unknown = medloop(context.settings, "trace", "nobody")
    assert unknown.returncode == 1
    assert "has no request 'nobody'" in unknown.stderr


def medloop(settings: Settings, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "pipelines.cli", *arguments],
        env=os.environ | {"MEDLOOP_HOME": str(settings.home), "MEDLOOP_STORE": str(settings.store)},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


@pytest.mark.usefixtures("stored")
def test_a_bundle_that_was_sealed_again_is_found_by_its_former_digest(
    context: Context, kept: Path
) -> None:
    note(context, kept)
    manifest = read_manifest(kept)
    write_manifest(kept, manifest.model_copy(update={"created_at": "2027-01-01T00:00:00+00:00"}))
    note_former(kept, manifest.digest)

    origin = trace(context, REQUEST).origin

    assert origin is not None
    assert origin.digest == read_manifest(kept).digest != manifest.digest

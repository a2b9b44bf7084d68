import hashlib
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from pipelines import erasing, loop
from pipelines.cli.app import app
from pipelines.data.checks.check_tables import landing_table
from pipelines.data.external import spec_named
from pipelines.data.input.cache import fetch
from pipelines.data.land import ledger
from pipelines.data.land.pseudonyms import load_pseudonyms
from pipelines.data.restore import restore
from pipelines.data.rows import Image, Refused
from pipelines.data.tables import Table
from pipelines.erasure import manifests
from pipelines.erasure.certificate import Certificate
from pipelines.erasure.erase import Asked, Erasure
from pipelines.erasure.journal import Journal
from pipelines.errors import LandingError, NotFound, Unavailable
from pipelines.outputs import SPLITS
from pipelines.stage import Context
from tests.pipelines.data.landing_folders import dicom, drawing, png, spec, write
from tests.pipelines.erasure.conftest import HERS, PATIENT, TAGGED, Collection
from tests.pipelines.erasure.searching import places_of

SOURCE = {"origin": "Drawn by a test", "licence": "CC0-1.0", "consent": "Not needed"}
REASON = "The patient withdrew consent"
ASKED = Asked("patient", PATIENT, REASON)


def hers(collection: Collection) -> dict[str, bytes]:
    """Everything by which her images are known, as the store says before an erasure."""
    patient = load_pseudonyms(collection.context.settings).of("patient", PATIENT)
    ours = [row for row in collection.index() if row["patient"] == patient]
    assert len(ours) == len(HERS)
    pixels = prepared_pixels(collection)
    found = {"the patient's pseudonym": patient.encode()}
    contents = collection.originals()
    for row in ours:
        name, sha256 = row["source_path"], row["sha256"]
        content = contents[sha256]
        found |= {
            f"{name}: bytes": content,
            f"{name}: sha256": sha256.encode(),
            f"{name}: start of sha256": sha256[:16].encode(),
            f"{name}: path": name.encode(),
            f"{name}: thumbnail": row["thumbnail"],
        }
        if sha256 in pixels:
            found[f"{name}: prepared"] = pixels[sha256]
    assert any(name.endswith("prepared") for name in found)
    return found


def prepared_pixels(collection: Collection) -> dict[str, bytes]:
    """sha256 → prepared pixels, read through the cache, which verifies every file."""
    data = fetch(collection.context, collection.prepared())
    return {
        sha256: image.tobytes()
        for name in SPLITS
        for batch in data.split(name).batches(8)
        for sha256, image in zip(batch.ids, batch.images, strict=True)
    }


def remove_landed(collection: Collection) -> None:
    for name in HERS:
        (collection.landing / name).unlink()


def erase(collection: Collection, asked: Asked | None = ASKED, **options: bool) -> Certificate:
    return Erasure(collection.spec, collection.context, asked, mlflow=False).run(**options)


def found(collection: Collection, needles: dict[str, bytes]) -> list[tuple[str, str]]:
    return places_of(needles, collection.home, collection.store)


def test_a_patient_goes_from_everything_and_nobody_else_does(collection: Collection) -> None:
    needles, images = hers(collection), collection.originals()
    pixels, log = prepared_pixels(collection), collection.home / "logs/airflow/dag/1.log"
    size = log.stat().st_size
    gone = {sha256 for sha256 in images if sha256.encode() in needles.values()}
    remove_landed(collection)
    assert len(found(collection, needles)) > 40

    certificate = erase(collection)

    assert found(collection, needles) == []
    assert certificate.images == len(HERS)
    assert collection.originals() == {s: data for s, data in images.items() if s not in gone}
    assert prepared_pixels(collection) == {s: p for s, p in pixels.items() if s not in gone}
    rows = collection.rows("pets/served/2026-11-01/000000-0123abcd.parquet")
    assert {row["sha256"] for row in rows} == images.keys() - gone
    assert collection.context.store.names("pets/features/f") == []
    in_table = Table.open(collection.context, "pets", Image).arrow(["sha256"])
    assert set(in_table["sha256"].to_pylist()) == images.keys() - gone
    assert log.stat().st_size == size
    assert log.read_text().count("reading cat/000.png") == 1
    manifest = collection.context.store.read_json(f"{collection.prepared().path}/manifest.json")
    was = sum(manifest["output"]["rows"].values()) + manifest["erased_rows"]
    assert (manifest["erased_rows"], was) == (len(pixels.keys() & gone), len(pixels))


def test_the_loop_goes_on_afterwards(collection: Collection) -> None:
    hers(collection)
    remove_landed(collection)
    erase(collection)

    before = collection.ingest()
    assert before.images == before.added == len(collection.originals())
    collection.divide()
    for number in range(2):
        write(collection.landing / "dog" / f"new-{number}.png", png(drawing(900 + number)))
    after = collection.ingest()
    assert (after.added, after.parent) == (2, before.id)
    assert collection.divide().snapshot == after.path


def test_the_same_files_are_refused_when_they_land_again(collection: Collection) -> None:
    needles = hers(collection)
    with pytest.raises(LandingError, match="3 of the files are still in a landing folder"):
        erase(collection)
    assert not erasing.journal_file(collection.context.settings, "pets").exists()
    erase(collection, leave_landed=True)

    landed = collection.land()
    collection.ingest()

    assert landed.quarantined["erased"] == len(HERS)
    # the pseudonyms of their paths say which files should not be in the landing folder
    assert found(collection, {k: v for k, v in needles.items() if "path" not in k}) == []
    assert "erased" not in set(landing_table(collection.context, landed)["reason"])


class Killed(BaseException):
    """In the place of SIGKILL."""


def test_an_erasure_that_is_killed_again_and_again_ends_as_one_that_is_not(
    collection: Collection, monkeypatch: pytest.MonkeyPatch
) -> None:
    needles = hers(collection)
    pixels = prepared_pixels(collection)
    remove_landed(collection)
    amended: set[str] = set()
    note, amend = Journal.note, manifests.amend

    def note_or_die(journal: Journal, removed: Any) -> None:
        if not alive:
            raise Killed
        alive.pop()
        note(journal, removed)

    def die_or_amend(store: Any, path: str, *facts: Any, erased: int) -> None:
        if path not in amended:
            amended.add(path)
            raise Killed
        amend(store, path, *facts, erased=erased)

    monkeypatch.setattr(Journal, "note", note_or_die)
    monkeypatch.setattr(manifests, "amend", die_or_amend)
    asked: Asked | None = ASKED
    for _ in range(100):
        alive = [True]  # for one piece
        try:
            certificate = erase(collection, asked)
        except Killed:
            asked = None
        else:
            break

    assert len(amended) > 5
    assert found(collection, needles) == []
    manifest = collection.context.store.read_json(f"{collection.prepared().path}/manifest.json")
    left = prepared_pixels(collection)
    assert manifest["erased_rows"] == len(pixels) - len(left)
    assert certificate.images == len(HERS)
    removed = {one.what for one in certificate.removed}
    assert {"prepared images", "training sets", "features", "originals", "cache"} <= removed
    assert "tables of images" in removed


def test_no_step_begins_before_a_killed_erasure_is_finished(
    collection: Collection, monkeypatch: pytest.MonkeyPatch
) -> None:
    remove_landed(collection)
    note = Journal.note

    def die(*_: object) -> None:
        raise Killed

    monkeypatch.setattr(Journal, "note", die)
    with pytest.raises(Killed):
        erase(collection)
    monkeypatch.setattr(Journal, "note", note)
    with pytest.raises(Unavailable, match="medloop erase pets --resume"):
        loop.land("pets", str(collection.landing))
    with pytest.raises(Unavailable, match="Finish it first: medloop erase pets --resume"):
        erase(collection)
    journal = erasing.journal_file(collection.context.settings, "pets").read_text()
    assert PATIENT not in journal
    assert "cat/" not in journal

    erase(collection, None)

    with pytest.raises(NotFound, match="was cut short"):
        erase(collection, None)


def test_an_erasure_waits_for_steps_and_says_so(
    collection: Collection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(erasing, "WAIT_SECONDS", 0.1)
    settings = collection.context.settings
    with erasing.step(settings, "pets"), pytest.raises(Unavailable, match="a step of the loop"):
        erase(collection)
    with erasing.erasing(settings), pytest.raises(Unavailable, match="are being erased"):
        loop.land("pets")


def by_hash(collection: Collection) -> Asked:
    content = (collection.landing / TAGGED).read_bytes()
    return Asked("image", hashlib.sha256(content).hexdigest().upper(), REASON)


def by_file(collection: Collection) -> Asked:
    return Asked("file", str(collection.landing / TAGGED), REASON)


def by_path(_: Collection) -> Asked:
    return Asked("file", TAGGED, REASON)


@pytest.mark.parametrize("named", [by_hash, by_file, by_path])
def test_one_image_is_named_by_its_file_as_it_landed(
    collection: Collection, named: Callable[[Collection], Asked]
) -> None:
    (row,) = [row for row in collection.index() if row["source_path"] == TAGGED]
    landed = row["landed_sha256"]
    needles = {name: name.encode() for name in (row["sha256"], landed, TAGGED)}
    assert found(collection, needles)

    erase(collection, named(collection), leave_landed=True)

    assert found(collection, needles) == []


def test_copies_go_together_and_a_path_that_others_have_stays(collection: Collection) -> None:
    shutil.copy(collection.landing / TAGGED, collection.landing / "dog" / "copy.png")
    collection.ingest()
    write(collection.landing / TAGGED, png(drawing(901)))
    other = {r["sha256"] for r in collection.index() if r["source_path"] == TAGGED}

    erase(collection, Asked("file", "dog/copy.png", REASON), leave_landed=True)

    left = collection.index()
    assert len(other) == 2
    assert [r["sha256"] in other for r in left if r["source_path"] == TAGGED] == [True]
    assert not [r for r in left if r["source_path"] == "dog/copy.png"]


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        (Asked("patient", "nobody", REASON), "pets has no such image"),
        (Asked("image", "abc", REASON), "'abc' is not a sha256"),
        (Asked("image", "0" * 64, REASON), "pets has no such image"),
    ],
)
def test_an_image_that_is_not_there(collection: Collection, asked: Asked, message: str) -> None:
    with pytest.raises(NotFound, match=message):
        erase(collection, asked)


def test_the_certificate_names_nobody(collection: Collection) -> None:
    needles = hers(collection) | {"patient": PATIENT.encode()}
    remove_landed(collection)
    certificate = erase(collection)

    folder = collection.store / certificate.path
    page = (folder / "certificate.html").read_text()
    assert places_of(needles, folder) == []
    assert REASON in page
    assert "backups" in page
    log = collection.home / "service/audit/erasures.jsonl"
    assert log.stat().st_mode & 0o777 == 0o600
    audit = log.read_text()
    assert json.loads(audit)["images"] == len(HERS)
    assert PATIENT not in audit


@pytest.fixture
def command(collection: Collection, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Any]:
    def opened(_: str) -> tuple[Any, Context]:
        return collection.spec, collection.context

    monkeypatch.setattr("pipelines.loop.operations._erasable", opened)
    monkeypatch.setenv("COLUMNS", "200")
    return lambda *words, **options: CliRunner().invoke(
        app, ["erase", "pets", "--skip-mlflow", *words], **options
    )


def test_the_command_asks_first(collection: Collection, command: Callable[..., Any]) -> None:
    remove_landed(collection)
    why = ("--patient", PATIENT, "--reason", REASON)
    images = len(collection.originals())

    assert "name the images by one of" in command("--reason", "x").output
    assert "--reason is missing" in command("--patient", "x").output
    dry = command(*why, "--dry-run")
    assert "Nothing was removed" in dry.output
    refused = command(*why, input="n\n")
    assert "Remove 3 images of pets for good?" in refused.output
    assert refused.exit_code == 1
    assert len(collection.originals()) == images
    done = command(*why, "--yes")
    assert "3 images erased; certificate:" in done.output, done.output
    assert len(collection.originals()) == images - 3


def test_an_external_collection_is_erased_by_its_own_name() -> None:
    ours = spec(external=[{"name": "other", "title": "Other", "source": SOURCE, "landing": {}}])

    assert spec_named("pets_other", [ours]).class_names == ours.class_names
    with pytest.raises(NotFound, match="nor an external collection; those: pets_other"):
        spec_named("pets_else", [ours])


def test_refused_files_of_a_patient_go_from_quarantine_packs_and_ledger(
    collection: Collection, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ledger, "SETTLED_SECONDS", 0)
    write(collection.landing / "bird" / "hers.dcm", dicom(11))
    collection.ingest()
    columns = ["source_path", "sha256", "patient", "pack"]
    rows = Table.open(collection.context, "pets", Refused).arrow(columns).to_pylist()
    (row,) = [row for row in rows if row["patient"]]
    (file,) = restore(collection.context, "pets", what=row["sha256"], target=tmp_path / "restored")
    needles = {"bytes": file.read_bytes()} | {k: v.encode() for k, v in row.items() if k != "pack"}
    shutil.rmtree(collection.store / "pets" / "landings")  # its records were pruned
    places = {place for _, place in found(collection, needles)}
    assert {"landed/pets.sqlite", row["pack"]} <= places
    assert any("tables/quarantine/" in place for place in places)
    remove_landed(collection)
    (collection.landing / "bird" / "hers.dcm").unlink()

    assert erase(collection).images == len(HERS) + 1

    assert found(collection, needles) == []
    left = Table.open(collection.context, "pets", Refused).arrow(["source_path"]).to_pylist()
    assert left == [{"source_path": "bird/unlabelled.png"}]

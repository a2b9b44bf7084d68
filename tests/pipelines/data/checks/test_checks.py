import hashlib
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pipelines.data.checks import checks
from pipelines.data.prepare import prepare
from pipelines.errors import CheckFailed
from pipelines.outputs import CheckReport, Prepared
from pipelines.settings import Settings
from pipelines.stage import Context
from pipelines.storage import open_store
from tests.pipelines.data.small_collection import (
    Change,
    Row,
    divided,
    images,
    landed,
    small_spec,
    snapshotted,
)

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

Corruption = Callable[[list[Row]], object]


def refuse(rows: list[Row], number: int) -> None:
    for row in rows[:number]:
        row |= {"reason": "truncated", "message": "The PNG file is cut off", "label": None}


def check_landing(context: Context, rows: list[Row]) -> CheckReport:
    return checks.check_landing(small_spec(), context, landed(context, rows))


def check_snapshot(context: Context, rows: list[Row]) -> CheckReport:
    snapshot = snapshotted(context, rows)
    split = divided(context, snapshot, rows)
    return checks.check_snapshot(small_spec(), context, snapshot, split)


def every(rows: list[Row], **values: Any) -> None:
    for row in rows:
        row |= values


IMAGE_CORRUPTIONS: list[tuple[str, Corruption, list[str]]] = [
    ("label", lambda r: r[4].update(label="medium"), ["class of the spec", "medium", "bright/004"]),
    ("no label", lambda r: r[4].update(label=None), ["Every image has a label", "bright/004.png"]),
    ("format", lambda r: r[4].update(format="GIF"), ["format that is read", "GIF", "bright/004"]),
    ("mode", lambda r: r[4].update(mode="HSV"), ["mode that is read", "HSV", "bright/004.png"]),
    ("bits", lambda r: r[4].update(bits=32), ["1 to 16 bits", "32", "bright/004.png"]),
    ("side", lambda r: r[4].update(width=31), ["at least 32 pixels", "31", "bright/004.png"]),
    ("pixels", lambda r: r[4].update(width=10**7), ["at most 50 megapixels", "440", "bright/004"]),
    ("bytes", lambda r: r[4].update(bytes=2**27), ["at most 64 MB", "128", "bright/004.png"]),
]

LANDING_CORRUPTIONS = [
    *IMAGE_CORRUPTIONS,
    (
        "refused",
        lambda rows: refuse(rows, 3),
        ["At most 10.0% of the landed files are refused", "3 of 20", "15.0%", "3 x truncated"],
    ),
    (
        "listed twice",
        lambda rows: rows.append(dict(rows[0])),
        ["Every file is listed once", "bright/000.png"],
    ),
    ("hash", lambda rows: rows[4].update(sha256="abc"), ["named by its sha256", "bright/004.png"]),
]

SNAPSHOT_CORRUPTIONS = [
    *IMAGE_CORRUPTIONS,
    (
        "few of a class",
        lambda rows: every(rows[4:10], label="dark"),
        ["There are at least 5 images of bright; found 4."],
    ),
    (
        "imbalance",
        lambda rows: every(rows[4:10], label="dark"),
        ["The largest class has at most 3 times the images of the smallest; found 4."],
    ),
    (
        "copies",
        lambda rows: every(rows[5:15], sha256=rows[0]["sha256"], split="train"),
        ["At most 25.0% of the images are exact copies", "10 of 20", "50.0%", "10 x bright/000"],
    ),
    (
        "the same image twice",
        lambda rows: rows.append(dict(rows[0])),
        ["Every image stands there once", "bright/000.png"],
    ),
    (
        "undecided",
        lambda rows: rows[4].update(split=None, excluded=None),
        ["in a split, or it is said why not", "bright/004.png"],
    ),
    (
        "patient in two splits",
        lambda rows: every(rows[2:4], group="patient-x"),
        ["No patient or lesion stands in two splits; found 2 of 20", "bright/002.png, bright/003"],
    ),
    (
        "cluster in two splits",
        lambda rows: every(rows[2:4], cluster="cluster-x"),
        ["No cluster of near duplicates or related images", "bright/002.png, bright/003.png"],
    ),
    (
        "bytes in two splits",
        lambda rows: rows[3].update(sha256=rows[2]["sha256"]),
        ["No image's bytes stand in two splits", "bright/002.png, bright/003.png"],
    ),
    (
        "class missing from a split",
        lambda rows: every([r for r in rows if r["label"] == "dark"], split="train"),
        ["Every class stands in the test split; found none of dark."],
    ),
]

WARNINGS = [
    ("black", lambda rows: every(rows, mean=2.0), "neither black nor white (mean level 5 to 250)"),
    ("flat", lambda rows: every(rows, std=1.0), "have contrast (mean deviation at least 5)"),
    (
        "two labels",
        lambda rows: rows[10].update(sha256=rows[0]["sha256"]),
        "No image's bytes have two labels",
    ),
]


def assert_names(error: pytest.ExceptionInfo[CheckFailed], expected: list[str]) -> None:
    """One of the sentences says all that is expected, and the report stands."""
    message = str(error.value)
    sentences = [line for line in message.splitlines() if line.startswith("  - ")]
    assert any(all(part in line for part in expected) for line in sentences), message
    page = Path(message.rpartition("Report: ")[2])
    assert page.is_file()


def test_a_sound_landing_passes_and_is_reported(context: Context) -> None:
    report = check_landing(context, images())
    assert report.passed
    assert report.failed == report.warnings == []
    assert report.expectations > 10
    page = Path(report.data_docs)
    assert "Every file is listed once" in page.read_text()
    stored = context.store.read_json(f"small/checks/landing/{report.id}/result.json")
    assert stored["success"]


@pytest.mark.parametrize(
    ("corrupt", "expected"),
    [x[1:] for x in LANDING_CORRUPTIONS],
    ids=[x[0] for x in LANDING_CORRUPTIONS],
)
def test_a_fault_in_a_landing_is_named(
    context: Context, corrupt: Change, expected: list[str]
) -> None:
    rows = images()
    corrupt(rows)
    with pytest.raises(CheckFailed, match="the landing suite is not met") as error:
        check_landing(context, rows)
    assert_names(error, expected)


def test_a_few_refused_files_are_tolerated(context: Context) -> None:
    rows = images()
    refuse(rows, 2)
    assert check_landing(context, rows).passed


def test_few_new_images_of_a_class_are_a_warning_at_landing(context: Context) -> None:
    report = check_landing(context, images()[8:])
    assert report.passed
    assert report.failed == []
    assert report.warnings == ["At least 5 images of bright landed; found 2."]


def test_a_sound_snapshot_passes(context: Context) -> None:
    rows = images()
    rows.append({**rows[0], "source_path": "bright/copy.png"})
    rows[1] |= {"split": None, "excluded": "leak"}
    report = check_snapshot(context, rows)
    assert report.passed
    assert report.failed == []


@pytest.mark.parametrize(
    ("corrupt", "expected"),
    [x[1:] for x in SNAPSHOT_CORRUPTIONS],
    ids=[x[0] for x in SNAPSHOT_CORRUPTIONS],
)
def test_a_fault_in_a_snapshot_is_named(
    context: Context, corrupt: Change, expected: list[str]
) -> None:
    rows = images()
    corrupt(rows)
    with pytest.raises(CheckFailed, match="the snapshot suite is not met") as error:
        check_snapshot(context, rows)
    assert_names(error, expected)


@pytest.mark.parametrize(
    ("corrupt", "expected"), [x[1:] for x in WARNINGS], ids=[x[0] for x in WARNINGS]
)
def test_odd_pictures_are_warned_of_and_stop_nothing(
    context: Context, caplog: pytest.LogCaptureFixture, corrupt: Change, expected: str
) -> None:
    rows = images()
    corrupt(rows)
    report = check_snapshot(context, rows)
    assert report.passed
    [warning] = report.warnings
    assert expected in warning
    assert expected in caplog.text


def test_what_passed_is_not_judged_again(context: Context, monkeypatch: pytest.MonkeyPatch) -> None:
    first = check_landing(context, images())
    monkeypatch.setattr("pipelines.data.checks.checks.DataDocs.validate", None)
    assert check_landing(context, images()) == first


def test_another_tolerance_is_another_judgement(context: Context) -> None:
    rows = images()
    refuse(rows, 3)
    landing = landed(context, rows)
    with pytest.raises(CheckFailed):
        checks.check_landing(small_spec(), context, landing)
    generous = small_spec(checks={"min_per_class": 5, "max_quarantined": 0.2})
    assert checks.check_landing(generous, context, landing).passed


def test_what_failed_is_judged_again_once_it_is_mended(context: Context) -> None:
    rows = images()
    refuse(rows, 3)
    with pytest.raises(CheckFailed):
        check_landing(context, rows)
    report = check_landing(context, images())
    assert report.passed
    stored = context.store.read_json(f"small/checks/landing/{report.id}/manifest.json")
    assert stored["output"]["passed"]


def test_lost_data_docs_are_drawn_again(context: Context) -> None:
    first = check_landing(context, images())
    shutil.rmtree(context.settings.home / "data_docs")
    again = check_landing(context, images())
    assert again.id == first.id
    assert Path(again.data_docs).is_file()
    assert again.data_docs != first.data_docs
    index = (context.settings.home / "data_docs" / "index.html").read_text()
    assert index.count("small.landing") == 1


def test_the_site_lists_every_run_and_needs_no_network(context: Context) -> None:
    good = check_landing(context, images())
    with pytest.raises(CheckFailed):
        check_snapshot(context, images()[8:])
    site = context.settings.home / "data_docs"
    index = (site / "index.html").read_text()
    rows = [line for line in index.splitlines() if line.startswith("<tr><td>")]
    assert len(rows) == 2
    assert "small.snapshot" in rows[0]
    assert "failed" in rows[0]
    assert good.id in rows[1]
    assert "passed" in rows[1]
    assert Path(good.data_docs).relative_to(site).as_posix() in rows[1]
    assert "http" not in index


def test_many_offending_rows_are_counted_and_a_few_named(context: Context) -> None:
    rows = images()
    every(rows[:9], mode="HSV")
    with pytest.raises(CheckFailed) as error:
        check_landing(context, rows)
    assert "found 9 of 20 that break it (45.0%, 9 x HSV): bright/000.png" in str(error.value)
    assert "bright/004.png, and 4 more." in str(error.value)
    assert "bright/005.png" not in str(error.value)


def test_checks_are_kept_in_hdfs(hdfs: Settings, tmp_path: Path) -> None:
    settings = hdfs.model_copy(update={"home": tmp_path})
    context = Context(settings=settings, store=open_store(settings))
    report = check_snapshot(context, images())
    assert context.store.names(f"small/checks/snapshot/{report.id}") == [
        "manifest.json",
        "result.json",
    ]


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory, spark: "SparkSession") -> tuple[Path, Prepared]:
    """A store with a training set of the small collection, for the tests to copy."""
    assert spark.getActiveSession() is not None
    home = tmp_path_factory.mktemp("sound")
    settings = Settings(home=home / "home", store=(home / "store").as_uri())
    made = Context(settings=settings, store=open_store(settings))
    rows = images()
    snapshot = snapshotted(made, rows)
    return home / "store", prepare.run(small_spec(), made, snapshot, divided(made, snapshot, rows))


@pytest.fixture
def prepared(context: Context, sound: tuple[Path, Prepared]) -> Prepared:
    """A training set of the small collection, in the test's own store."""
    folder, output = sound
    own = Path(context.store.uri("").removeprefix("file://"))
    shutil.copytree(folder, own, dirs_exist_ok=True)
    return output


class Stored:
    """A training set, with its images, that a test damages.

    Args:
        context: its local store.
        output: the training set.
    """

    def __init__(self, context: Context, output: Prepared) -> None:
        store = Path(context.store.uri("").removeprefix("file://"))
        self.folder = store / output.path
        (self.part,) = (store / output.images / "parts").iterdir()
        self.listing = store / output.images / "listings" / self.part.name

    def rewrite(self, change: Change) -> None:
        """Change the rows."""
        table = pq.read_table(self.folder / "keys.parquet")
        rows = table.to_pylist()
        change(rows)
        changed = pa.Table.from_pylist(rows, schema=table.schema)
        pq.write_table(changed, self.folder / "keys.parquet")

    def repack(self, pixels: bytes) -> None:
        """Give the first image of the part other pixels; the part is called by its new hash."""
        table = pq.read_table(self.part)
        rows = table.to_pylist()
        rows[0] |= {"pixels": pixels}
        pq.write_table(pa.Table.from_pylist(rows, schema=table.schema), self.part)
        name = f"{hashlib.sha256(self.part.read_bytes()).hexdigest()}.parquet"
        self.part.rename(self.part.with_name(name))
        self.listing.rename(self.listing.with_name(name))

    def darken(self, split: str) -> None:
        """Say in the statistics that a split is much darker than it is."""
        stats = json.loads((self.folder / "stats.json").read_text())
        stats[split]["all"]["mean"] = [1, 1, 1]
        (self.folder / "stats.json").write_text(json.dumps(stats))

    def flip(self) -> None:
        """Change one byte of the part."""
        content = bytearray(self.part.read_bytes())
        content[100] ^= 1
        self.part.write_bytes(content)


def of(rows: list[Row], split: str) -> Row:
    """The first row of a split."""
    return next(row for row in rows if row["split"] == split)


def copy_to_test(rows: list[Row]) -> None:
    rows.append(of(rows, "train") | {"split": "test"})


PREPARED_CORRUPTIONS: list[tuple[str, Callable[[Stored], object], list[str]]] = [
    (
        "one byte differs",
        Stored.flip,
        ["Every part is there", "1 x its sha256 is", "not its name"],
    ),
    (
        "part missing",
        lambda stored: stored.part.unlink(),
        ["Every part is there", "1 x it is missing"],
    ),
    (
        "image missing",
        lambda stored: stored.rewrite(lambda rows: rows.pop()),
        ["Every image of the split is in the training set", "found 1 of 20", ".png"],
    ),
    (
        "image in the wrong split",
        lambda stored: stored.rewrite(lambda rows: of(rows, "train").update(split="test")),
        ["Every image of the split is in the training set", "1 x train / test"],
    ),
    (
        "image twice",
        lambda stored: stored.rewrite(lambda rows: rows.append(rows[0])),
        ["Every image is in the training set once", ".png"],
    ),
    (
        "bytes in two splits",
        lambda stored: stored.rewrite(copy_to_test),
        ["No image's bytes stand in two splits; found 2 of", ".png"],
    ),
    (
        "group in two splits",
        lambda stored: stored.rewrite(copy_to_test),
        ["No group stands in two splits; found 2 of", ".png"],
    ),
    (
        "wrong label",
        lambda stored: stored.rewrite(lambda r: r[0].update(label=1 - r[0]["label"])),
        ["Every image has the label that the split gives it; found 1 of 20", ".png"],
    ),
    (
        "label out of range",
        lambda stored: stored.rewrite(lambda rows: rows[0].update(label=2)),
        ["Every label is one of 0 to 1; found 1 of 20", "1 x 2", ".png"],
    ),
    (
        "pixels of another size",
        lambda stored: stored.repack(bytes(30)),
        ["Every part is there", "1 x its images do not have 32 x 32 pixels"],
    ),
]


def test_a_sound_training_set_passes(context: Context, prepared: Prepared) -> None:
    report = checks.check_prepared(small_spec(), context, prepared)
    assert report.passed
    assert report.failed == []


@pytest.mark.parametrize(
    ("damage", "expected"),
    [x[1:] for x in PREPARED_CORRUPTIONS],
    ids=[x[0] for x in PREPARED_CORRUPTIONS],
)
def test_a_fault_in_a_training_set_is_named(
    context: Context, prepared: Prepared, damage: Callable[[Stored], object], expected: list[str]
) -> None:
    damage(Stored(context, prepared))
    with pytest.raises(CheckFailed, match="the prepared suite is not met") as error:
        checks.check_prepared(small_spec(), context, prepared)
    assert_names(error, expected)


def test_images_prepared_again_pass_after_damaged_ones_failed(
    context: Context, prepared: Prepared
) -> None:
    stored = Stored(context, prepared)
    sound = stored.part.read_bytes()
    stored.flip()
    with pytest.raises(CheckFailed):
        checks.check_prepared(small_spec(), context, prepared)
    stored.part.write_bytes(sound)
    assert checks.check_prepared(small_spec(), context, prepared).passed


def test_a_split_unlike_training_is_warned_of(context: Context, prepared: Prepared) -> None:
    Stored(context, prepared).darken("test")
    report = checks.check_prepared(small_spec(), context, prepared)
    assert report.passed
    [warning] = report.warnings
    assert warning.startswith("The mean level of test is within 15 of training's; found 1")

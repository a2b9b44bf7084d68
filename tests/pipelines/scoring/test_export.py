import csv
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from pipelines.imaging import decode
from pipelines.outputs import Scores
from pipelines.scoring import export, score, subjects
from pipelines.stage import Context
from tests.pipelines.data.small_collection import small_spec
from tests.pipelines.imaging.pictures import greys
from tests.pipelines.imaging.scans import scan_of
from tests.pipelines.scoring.scored import table
from tests.serving.bundles import CLASSES, png

if TYPE_CHECKING:
    pass

pytestmark = pytest.mark.usefixtures("spark")


@pytest.fixture
def scores(context: Context, bundle: Path, tmp_path: Path) -> Scores:
    """Of a picture, a scan and a text, with overlays."""
    folder = tmp_path / "asked"
    (folder / "ward").mkdir(parents=True)
    (folder / "ward" / "one.png").write_bytes(png(1))
    (folder / "Doe^Jane.dcm").write_bytes(scan_of(greys()))
    (folder / "note.txt").write_bytes(b"Not a picture.")
    subject = subjects.of_folder(small_spec(), context, str(folder))
    return score.run(small_spec(), context, bundle, subject=subject, overlays=True)


def test_scores_come_as_csv_and_pictures_and_name_patients_only_there(
    context: Context, scores: Scores, tmp_path: Path
) -> None:
    stored = table(context, scores)
    assert not any("Doe" in row["source_path"] for row in stored)

    names = export.names_of_files(small_spec(), context, scores)
    export.write_csv(context, scores, tmp_path / "out" / "scores.csv", files=names)

    with (tmp_path / "out" / "scores.csv").open(encoding="utf-8", newline="") as file:
        rows = {row["file"]: row for row in csv.DictReader(file)}
    assert sorted(rows) == ["Doe^Jane.dcm", "note.txt", "ward/one.png"]
    assert rows["note.txt"]["reason"] == "unknown_format"
    assert rows["note.txt"]["predicted"] == ""
    one = rows["ward/one.png"]
    shares = [float(one[f"probability.{name}"]) for name in CLASSES]
    assert sum(shares) == pytest.approx(1, abs=1e-5)
    assert float(one["confidence"]) == max(shares)
    assert "overlay" not in one
    codes = {row["source_path"]: row["abstained_because"] for row in stored}
    assert one["abstained_because"] == ";".join(told["code"] for told in codes["ward/one.png"])

    written = export.write_overlays(context, scores, tmp_path / "drawn")

    drawn = sorted(path for path in (tmp_path / "drawn").rglob("*") if path.is_file())
    assert written == len(drawn) == 2
    assert decode((tmp_path / "drawn" / "ward" / "one.png.png").read_bytes()).shape == (40, 60, 3)
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["scores.csv"]


def test_an_overlay_stays_in_its_folder_whatever_the_image_is_called() -> None:
    assert export.inside("/../../etc/a.png") == "etc/a.png.png"

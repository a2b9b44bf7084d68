"""Leaks are found whichever way they came, and what is no leak is not called one."""

import hashlib
import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageOps

from pipelines.evidence.finding import Finding
from pipelines.evidence.leaks import look
from pipelines.imaging import decode, thumbnail
from pipelines.stage import Context
from tests.pipelines.data.small_collection import Row, images
from tests.pipelines.evidence.small_subjects import small_subject


def rows() -> list[Row]:
    """40 different pictures, 8 of them to test on."""
    return [seen(row) for row in images(20)]


def seen(row: Row) -> Row:
    """A row with its thumbnail, as a landing has it."""
    return row | {"thumbnail": thumbnail(decode(row["content"]))}


def learnt_from(of: Row, content: bytes, **changes: object) -> Row:
    """A training image that shows what another shows."""
    sha256 = hashlib.sha256(content).hexdigest()
    copy = of | {"content": content, "sha256": sha256, "split": "train"}
    return seen(copy | {"source_path": "copy.png", "group": "nobody", **changes})


def of_test(all_rows: list[Row]) -> Row:
    return next(row for row in all_rows if row["split"] == "test")


def mirrored(content: bytes) -> bytes:
    """The picture mirrored and a little brighter, as a JPEG."""
    picture = ImageOps.mirror(Image.open(io.BytesIO(content)))
    file = io.BytesIO()
    picture.point(lambda shade: min(255, shade + 10)).save(file, "JPEG", quality=95)
    return file.getvalue()


def found(context: Context, folder: Path, collection: list[Row]) -> Finding:
    finding = look(small_subject(context, folder, rows=collection), folder)
    assert finding.figures["share"] <= 1
    return finding


def test_a_clean_split_shows_none(context: Context, tmp_path: Path) -> None:
    finding = found(context, tmp_path, rows())

    assert finding.figures["share"] == 0
    assert finding.warnings == ()
    assert finding.tables == ()
    assert finding.said == (
        "Of 8 test images, held against 24 training images: 0 show the same bytes, "
        "0 show the same patient or lesion, 0 show the same picture.",
    )


def test_the_same_bytes_in_training_are_found_and_named(context: Context, tmp_path: Path) -> None:
    clean = rows()
    copied = learnt_from(of_test(clean), of_test(clean)["content"])

    finding = found(context, tmp_path, [*clean, copied])

    assert finding.figures["copies"] == 1
    assert finding.figures["share"] == pytest.approx(1 / 8)
    assert "seen 12.5% of the test images" in finding.warnings[0]
    assert finding.tables[0].rows == (("bright/004.png", "copy.png", "the same bytes"),)


def test_another_picture_of_the_same_patient_is_found(context: Context, tmp_path: Path) -> None:
    clean = rows()
    clean[0]["group"] = of_test(clean)["group"]

    finding = found(context, tmp_path, clean)

    assert finding.figures["same_group"] == 1
    assert finding.figures["copies"] == finding.figures["near"] == 0


def test_the_same_picture_mirrored_and_saved_again_is_found(
    context: Context, tmp_path: Path
) -> None:
    clean = rows()
    smooth = [seen(row | {"content": _smooth(n)}) for n, row in enumerate(clean)]
    for row in smooth:
        row["sha256"] = hashlib.sha256(row["content"]).hexdigest()
    copied = learnt_from(of_test(smooth), mirrored(of_test(smooth)["content"]))

    finding = found(context, tmp_path, [*smooth, copied])

    assert finding.figures["near"] == 1
    assert finding.figures["copies"] == 0
    assert finding.tables[0].rows == (("bright/004.png", "copy.png", "the same picture"),)


def _smooth(seed: int) -> bytes:
    """A picture with large shapes, as scans have them."""
    coarse = np.random.default_rng(seed).integers(20, 230, (6, 6), np.uint8)
    file = io.BytesIO()
    Image.fromarray(coarse).resize((64, 64), Image.Resampling.BICUBIC).save(file, "PNG")
    return file.getvalue()


def test_it_says_which_images_it_could_not_look_at(context: Context, tmp_path: Path) -> None:
    blind = rows()
    of_test(blind)["thumbnail"] = None

    finding = found(context, tmp_path, blind)

    assert finding.said[1].startswith("1 images have no thumbnail")


def test_where_no_thumbnail_is_known_bytes_and_groups_are_compared(
    context: Context, tmp_path: Path
) -> None:
    clean = images(20)
    clean[0]["group"] = of_test(clean)["group"]

    finding = found(context, tmp_path, clean)

    assert (finding.figures["same_group"], finding.figures["near"]) == (1, 0)
    assert finding.said[1].startswith("32 images have no thumbnail")


def test_figures_much_better_than_on_validation_are_suspicious(
    context: Context, tmp_path: Path
) -> None:
    odd = rows()
    for row in odd:
        if row["split"] == "validation":  # right by chance only
            row["label"] = ("bright", "dark")[int(row["sha256"], 16) % 2]

    finding = found(context, tmp_path, odd)

    assert finding.figures["test_minus_validation"] > 0.2
    assert finding.intervals["test_minus_validation"].low > 0
    assert "better on the test set than on validation" in finding.warnings[0]

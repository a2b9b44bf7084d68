"""The folder of synthetic head phantoms, and what is in its pictures."""

import hashlib
import re
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from pipelines.data.duplicates.descriptors import posed_hashes, stacked
from pipelines.errors import BadImage, LandingError
from pipelines.imaging import decode, is_blank, thumbnail
from pipelines.phantom import PhantomReport, generate
from pipelines.phantom.anatomy import draw_subject
from pipelines.phantom.draw import draw_slice
from pipelines.phantom.lesion import LABELS, Label, draw_lesion
from pipelines.spec import load_spec

IMAGES = 90


@pytest.fixture(scope="module")
def drawn(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, PhantomReport]:
    folder = tmp_path_factory.mktemp("landing") / "phantom"
    return folder, generate(folder, seed=7, images=IMAGES, size=64)


def files_of(folder: Path) -> dict[str, str]:
    return {
        path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def pictures_of(folder: Path, report: PhantomReport) -> list[str]:
    """Every file that is a distinct picture."""
    apart = report.faulty | report.exact_copies | report.near_copies
    return [p for p in files_of(folder) if not p.startswith("masks/") and p not in apart]


def test_the_same_seed_draws_the_same_bytes_and_another_seed_others(
    drawn: tuple[Path, PhantomReport], tmp_path: Path
) -> None:
    folder, report = drawn
    assert generate(tmp_path / "again", seed=7, images=IMAGES, size=64) == report
    assert files_of(tmp_path / "again") == files_of(folder)
    generate(tmp_path / "other", seed=8, images=30, size=64)
    others, ours = files_of(tmp_path / "other"), files_of(folder)
    assert not set(others) & set(ours)
    assert len(set(others.values()) & set(ours.values())) <= 2  # the text and the blank picture


def test_the_report_counts_what_is_there(drawn: tuple[Path, PhantomReport]) -> None:
    folder, report = drawn
    pictures = pictures_of(folder, report)
    assert len(pictures) == sum(report.images.values()) == IMAGES
    for label in LABELS:
        assert sum(p.startswith(f"{label}/") for p in pictures) == report.images[label]
        assert report.images[label] > IMAGES / 5
    assert {Path(p).suffix for p in pictures} == {".png", ".jpg"}


def test_a_subject_has_one_class_and_up_to_three_slices(drawn: tuple[Path, PhantomReport]) -> None:
    folder, report = drawn
    pattern = load_spec("phantom").landing.group_pattern
    assert pattern is not None
    slices: dict[str, list[str]] = {}
    for path in pictures_of(folder, report):
        found = re.search(pattern, Path(path).name)
        assert found is not None
        slices.setdefault(found["group"], []).append(path.split("/")[0])
    assert all(len(set(labels)) == 1 for labels in slices.values())
    assert {len(labels) for labels in slices.values()} == {1, 2, 3}


def test_exact_copies_have_the_same_bytes_under_another_subject(
    drawn: tuple[Path, PhantomReport],
) -> None:
    folder, report = drawn
    assert len(report.exact_copies) == 6
    for copy, original in report.exact_copies.items():
        assert (folder / copy).read_bytes() == (folder / original).read_bytes()
        assert copy.split("_slice")[0] != original.split("_slice")[0]


def test_near_copies_look_the_same_with_other_bytes(drawn: tuple[Path, PhantomReport]) -> None:
    folder, report = drawn
    assert len(report.near_copies) == 6
    sizes = set()
    for copy, original in report.near_copies.items():
        here, there = ((folder / p).read_bytes() for p in (copy, original))
        assert here != there
        pair = stacked(thumbnail(decode(file)) for file in (here, there))
        one, other = posed_hashes(pair)[:, 0].tolist()
        assert (one ^ other).bit_count() <= 6
        sizes.add(decode(here).shape[0])
    assert sizes == {64, 56}


def test_faulty_files_are_faulty_in_the_way_that_is_said(
    drawn: tuple[Path, PhantomReport],
) -> None:
    folder, report = drawn
    assert sorted(report.faulty.values()) == ["blank", "truncated", "unknown_format"]
    for path, reason in report.faulty.items():
        data = (folder / path).read_bytes()
        if reason == "blank":
            assert is_blank(decode(data))
            continue
        with pytest.raises(BadImage) as refused:
            decode(data)
        assert refused.value.reason == reason


def test_every_file_says_that_it_is_synthetic(drawn: tuple[Path, PhantomReport]) -> None:
    folder, _ = drawn
    for path in files_of(folder):
        assert b"SYNTHETIC" in (folder / path).read_bytes()


def test_masks_stand_beside_lesions_and_fit_their_pictures(
    drawn: tuple[Path, PhantomReport],
) -> None:
    folder, report = drawn
    for path in [*pictures_of(folder, report), *report.exact_copies, *report.near_copies]:
        mask_path = folder / "masks" / Path(path).with_suffix(".png")
        assert mask_path.exists() == (not path.startswith("no_lesion/"))
        if mask_path.exists():
            mask = np.asarray(Image.open(mask_path))
            assert mask.shape == decode((folder / path).read_bytes()).shape[:2]
            assert set(np.unique(mask)) <= {0, 255}
            assert 0.003 < (mask > 0).mean() < 0.3


def test_a_folder_in_use_is_not_touched(drawn: tuple[Path, PhantomReport]) -> None:
    folder, _ = drawn
    before = files_of(folder)
    with pytest.raises(LandingError, match="holds files already"):
        generate(folder, seed=9, images=30)
    assert files_of(folder) == before


def test_an_interrupted_drawing_leaves_nothing_and_can_be_repeated(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from pipelines.phantom import landing

    folder = tmp_path / "phantom"
    with monkeypatch.context() as broken:
        broken.setattr(landing, "_write_faulty", lambda *_, **__: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            generate(folder, seed=7, images=30, size=64)
    assert not folder.exists()
    generate(folder, seed=7, images=30, size=64)
    assert [p.name for p in tmp_path.iterdir()] == ["phantom"]


def difference_of_lesion(kind: Label, seed: int) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """What the lesion changes in a slice that is otherwise the same, and its mask."""
    rng = np.random.default_rng(seed)
    head = draw_subject(rng)
    lesion = draw_lesion(rng, kind, head)
    without, with_it = (
        draw_slice(head, what, level=0.1, size=128, rng=np.random.default_rng(seed))
        for what in (None, lesion)
    )
    assert not without.mask.any()
    return with_it.picture.astype(float) - without.picture, with_it.mask > 0


@pytest.mark.parametrize(("kind", "sign"), [("round_lesion", 1), ("diffuse_lesion", -1)])
def test_the_mask_is_where_the_lesion_changes_the_picture(kind: Label, sign: int) -> None:
    for seed in range(12):
        difference, mask = difference_of_lesion(kind, seed)
        assert mask.any()
        assert sign * difference[mask].mean() > 8
        assert np.abs(difference[mask]).mean() > 6 * np.abs(difference[~mask]).mean()

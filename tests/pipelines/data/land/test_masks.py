"""Masks of lesions: beside the images from landing folder to training set, never in their way."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from pydantic import ValidationError

from pipelines.data.input.cache import fetch
from pipelines.data.land import ingest, landing
from pipelines.data.land.masks import read_masks
from pipelines.data.prepare import prepare
from pipelines.data.restore import originals, restore
from pipelines.outputs import SPLITS, Snapshot
from pipelines.spec import DatasetSpec, LandingSpec
from pipelines.stage import Context
from tests.pipelines.data.landing_folders import class_folders, drawing, png, spec, write
from tests.pipelines.data.recorded import index_of, masks_of
from tests.pipelines.data.small_collection import divided

PATTERN = "masks/{folder}/{stem}_lesion.png"


def with_masks(**changes: Any) -> DatasetSpec:
    return spec(landing={"masks": PATTERN}, image={"size": 64}, **changes)


def mask(top: int = 10, left: int = 20, *, side: int = 64) -> NDArray[np.uint8]:
    drawn = np.zeros((side, side), np.uint8)
    drawn[top : top + 24, left : left + 12] = 255
    return drawn


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Four cats and four dogs; two cats and a dog have a mask."""
    made = class_folders(tmp_path / "landing")
    for place, image in enumerate(("cat/000", "cat/001", "dog/002")):
        write(made / f"masks/{image}_lesion.png", png(mask(8 * place)))
    return made


def ingested(context: Context, folder: Path) -> Snapshot:
    return ingest.run(with_masks(), context, landing.run(with_masks(), context, str(folder)))


def refused(context: Context, folder: Path) -> dict[str, str]:
    """Path of a refused mask → its reason."""
    found = read_masks(context, landing.run(with_masks(), context, str(folder))).to_pylist()
    return {row["source_path"]: row["reason"] for row in found if row["reason"]}


def test_masks_are_kept_byte_for_byte_and_are_no_images(context: Context, folder: Path) -> None:
    snapshot = ingested(context, folder)

    index = {row["sha256"]: row["source_path"] for row in index_of(context, snapshot)}
    kept = {
        index[row["image"]]: data for row, data in originals(context, masks_of(context, snapshot))
    }
    assert snapshot.images == 8
    assert kept == {
        f"{image}.png": (folder / f"masks/{image}_lesion.png").read_bytes()
        for image in ("cat/000", "cat/001", "dog/002")
    }


def test_what_is_wrong_with_a_mask_is_told_and_its_image_stays(
    context: Context, folder: Path
) -> None:
    write(folder / "masks/cat/002_lesion.png", png(np.zeros((64, 64), np.uint8)))
    write(folder / "masks/cat/003_lesion.png", b"no picture")
    write(folder / "masks/dog/000_lesion.png", png(mask(side=64)[:, :50]))
    write(folder / "masks/dog/nobody_lesion.png", png(mask()))

    assert refused(context, folder) == {
        "masks/cat/002_lesion.png": "blank",
        "masks/cat/003_lesion.png": "unknown_format",
        "masks/dog/000_lesion.png": "mask_shape",
    }
    snapshot = ingested(context, folder)
    assert snapshot.images == 8
    assert len(masks_of(context, snapshot)) == 3


def test_copies_of_an_image_must_agree_on_its_lesion(context: Context, folder: Path) -> None:
    for copy, marked in (("agrees", mask(0)), ("differs", mask(30))):
        write(folder / f"cat/{copy}.png", (folder / "cat/000.png").read_bytes())
        write(folder / f"masks/cat/{copy}_lesion.png", png(marked))

    assert refused(context, folder) == {"masks/cat/differs_lesion.png": "ambiguous_mask"}
    assert len(masks_of(context, ingested(context, folder))) == 3


def test_a_mask_that_comes_later_adds_to_the_snapshot_and_changes_none(
    context: Context, folder: Path
) -> None:
    first = ingested(context, folder)
    before = {name: context.store.read(f"{first.path}/{name}") for name in _names(context, first)}
    write(folder / "masks/dog/003_lesion.png", png(mask(40)))
    write(folder / "masks/cat/000_lesion.png", png(mask(2)))  # drawn anew

    second = ingested(context, folder)

    assert second.parent == first.id
    assert second.added == 0
    assert ingested(context, folder) == second
    assert {n: context.store.read(f"{first.path}/{n}") for n in _names(context, first)} == before
    packs = [row["pack"] for row in masks_of(context, second)]
    assert len(packs) == 4
    listed = context.store.read_json(f"{second.path}/manifest.json")["files"]
    assert sum(pack in {one["name"] for one in listed} for pack in packs) == 2
    held = [data for _, data in originals(context, masks_of(context, second))]
    assert png(mask(2)) in held
    assert png(mask(0)) not in held


def _names(context: Context, snapshot: Snapshot) -> list[str]:
    return context.store.names(snapshot.path)


def test_a_mask_can_be_had_back(context: Context, folder: Path, tmp_path: Path) -> None:
    ingested(context, folder)

    (back,) = restore(
        context, "pets", what="masks/cat/001_lesion.png", target=tmp_path / "restored"
    )

    assert back.read_bytes() == (folder / "masks/cat/001_lesion.png").read_bytes()


def test_a_collection_without_masks_is_what_it_was(context: Context, tmp_path: Path) -> None:
    plain = class_folders(tmp_path / "plain")
    without = ingest.run(spec(), context, landing.run(spec(), context, str(plain)))

    assert ingested(context, plain) == without
    assert masks_of(context, without) == []


@pytest.mark.usefixtures("spark")
def test_masks_are_fitted_as_their_images_are(context: Context, folder: Path) -> None:
    for name, marked in (("cat/000", mask(0)), ("dog/002", mask(16))):
        seen = np.maximum(drawing(5) // 2, marked)
        write(folder / f"{name}.png", png(seen))
    snapshot = ingested(context, folder)
    rows = [
        row | {"split": SPLITS[place % 3]} for place, row in enumerate(index_of(context, snapshot))
    ]

    output = prepare.run(with_masks(), context, snapshot, divided(context, snapshot, rows))

    found: dict[str, tuple[NDArray[np.uint8], NDArray[np.bool_]]] = {}
    data = fetch(context, output)
    for split in SPLITS:
        part = data.split(split)
        assert part.rows == output.rows[split]
        places = part.with_lesion()
        images = zip(part.pixels(places), part.lesions(places), strict=True)
        found |= dict(zip(part.column("source_path")[places], images, strict=True))
    assert set(found) == {"cat/000.png", "cat/001.png", "dog/002.png"}
    for path in ("cat/000.png", "dog/002.png"):
        image, lesion = found[path]
        assert (lesion == (image[..., 0] == 255)).all()


@pytest.mark.parametrize(
    ("pattern", "said"),
    [
        ("masks/all.png", "stem"),
        ("masks/{name}/{stem}.png", "no other field"),
        ("{folder}/{stem}.png", "tell masks from images"),
        ("masks/*/{stem}.png", "tell masks from images"),
        ("masks/{stem", "not a pattern"),
    ],
)
def test_a_pattern_that_cannot_name_masks_is_refused(pattern: str, said: str) -> None:
    with pytest.raises(ValidationError, match=said):
        LandingSpec(masks=pattern)


def test_a_pattern_finds_masks_of_images_in_any_folder() -> None:
    said = LandingSpec(masks=PATTERN)

    assert said.masks_of("a/b/c.jpg") == ("masks/a/b/c_lesion.png",)
    assert said.masks_of("c.jpg") == ("masks/c_lesion.png",)
    assert LandingSpec().masks_of("c.jpg") == ()

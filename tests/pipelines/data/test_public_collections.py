"""Public collections land as they are downloaded, with what comes beside them."""

import shutil
from pathlib import Path

import pytest

from pipelines.data.checks import check_tables
from pipelines.data.land import ingest, landing
from pipelines.spec import DatasetSpec, load_spec
from pipelines.stage import Context
from tests.pipelines.data.landing_folders import drawing, png, write
from tests.pipelines.data.recorded import masks_of

XRAYS = {"NORMAL": "IM-0{}-0001.jpeg", "PNEUMONIA": "person{}_bacteria_1.jpeg"}


def write_junk(folder: Path) -> None:
    """What macOS and Windows leave."""
    for name in (".DS_Store", "Thumbs.db", "desktop.ini", "__MACOSX/._x", "__MACOSX/x/plain.txt"):
        write(folder / name, b"junk")


def chest_xray(folder: Path) -> Path:
    """The Kaggle download: everything twice, and what macOS left."""
    inner = folder / "chest_xray"
    for number, split in enumerate(("train", "test", "val")):
        for label, name in XRAYS.items():
            for image in range(2):
                seed = 100 * number + 10 * image + len(label)
                write(inner / split / label / name.format(seed), png(drawing(seed)))
    shutil.copytree(inner, inner / "chest_xray")
    write_junk(inner)
    write_junk(inner / "chest_xray" / "train")
    return inner


def ham10000(folder: Path) -> Path:
    """The Kaggle download: two folders, again in small letters, tables of pixels and the labels."""
    rows = ["lesion_id,image_id,dx,dx_type,age,sex,localization"]
    for number in range(8):
        image = f"ISIC_{number:07}"
        part = f"images_part_{1 + number // 4}"
        for name in ("HAM10000_", "ham10000_"):
            write(folder / f"{name}{part}" / f"{image}.jpg", png(drawing(number)))
        mask = folder / "HAM10000_segmentations_lesion_tschandl" / f"{image}_segmentation.png"
        write(mask, png(drawing(900 + number)))
        label = ("mel", "nv")[number % 2]
        rows.append(f"HAM_{number:07},{image},{label},histo,80.0,male,scalp")
    write(folder / "HAM10000_metadata.csv", "\n".join(rows).encode())
    write(folder / "hmnist_28_28_RGB.csv", b"pixel0,label\n1,2\n")
    write_junk(folder)
    return folder


def brain_mri(folder: Path) -> Path:
    """The Kaggle download in the folder that it is unpacked into."""
    for number, split in enumerate(("Training", "Testing")):
        for label in ("glioma", "meningioma", "notumor", "pituitary"):
            name = f"Tr-{label[:2]}_0010.jpg"
            seed = 10 * number + len(label)
            write(folder / "archive" / split / label / name, png(drawing(seed)))
    write_junk(folder / "archive")
    return folder


@pytest.mark.parametrize("above", [False, True])
def test_chest_x_rays_with_their_nested_copy(context: Context, tmp_path: Path, above: bool) -> None:
    spec, inner = load_spec("chest_xray"), chest_xray(tmp_path / "landing")
    landed = landing.run(spec, context, str(inner.parent if above else inner))
    assert (landed.accepted, landed.copies, landed.quarantined) == (12, 12, {})
    assert len(check_tables.landing_table(context, landed)) == 12
    assert ingest.run(spec, context, landed).images == 12


@pytest.mark.parametrize("name", ["skin_lesion", "skin_lesion_7"])
def test_ham10000_in_two_folders(context: Context, tmp_path: Path, name: str) -> None:
    spec = load_spec(name)
    drawn = tuple(c for c in spec.classes if {"mel", "nv"} & set(c.landing_labels))
    spec = DatasetSpec.model_validate(
        spec.model_dump() | {"classes": drawn, "gate": {}, "operating": {}}
    )
    landed = landing.run(spec, context, str(ham10000(tmp_path / "landing")))
    assert (landed.accepted, landed.copies, landed.quarantined) == (8, 8, {})
    snapshot = ingest.run(spec, context, landed)
    assert snapshot.images == 8
    assert len(masks_of(context, snapshot)) == 8


def test_brain_mri_inside_the_folder_it_was_unpacked_into(context: Context, tmp_path: Path) -> None:
    landed = landing.run(load_spec("brain_mri"), context, str(brain_mri(tmp_path / "landing")))
    assert (landed.files, landed.accepted, landed.quarantined) == (8, 8, {})

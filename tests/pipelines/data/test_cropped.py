"""Images cropped to their lesions: the same pixels from Spark as from the service."""

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from pipelines.data.input.cache import fetch
from pipelines.data.land import ingest, landing
from pipelines.data.prepare import prepare
from pipelines.data.prepare.segmenters import Segmenters, fetch_segmenter, finder_of
from pipelines.errors import BundleError
from pipelines.imaging import crop_box, decode, fit
from pipelines.imaging.lesion import FILES, LesionFinder, digest
from pipelines.outputs import SPLITS, Segmenter, Snapshot, Split
from pipelines.release.bundle import FINDER, load_bundle, write_manifest
from pipelines.release.predictor import Predictor, open_predictor
from pipelines.spec import DatasetSpec
from pipelines.stage import MANIFEST, Context
from tests.pipelines.data.landing_folders import CLASSES, png, spec, write
from tests.pipelines.data.recorded import index_of
from tests.pipelines.data.small_collection import divided
from tests.pipelines.imaging.finders import with_lesion, write_finder
from tests.serving.bundles import make_bundle

SIZE = 32
SIDES = (24, 18, 0)
"""Of the bright lesions drawn; one in three images has none."""


def cropping(crop: str = "lesion") -> DatasetSpec:
    image = {"size": SIZE, "crop": crop}
    return spec(image=image, landing={"masks": "masks/{folder}/{stem}.png"})


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Six images; those with a lesion have a mask."""
    made = tmp_path / "landing"
    for number in range(6):
        place = f"{CLASSES[number % 2]}/{number:03}.png"
        picture = with_lesion(80, 100, top=8 * number, left=60 - 8 * number, side=SIDES[number % 3])
        write(made / place, png(picture))
        if SIDES[number % 3]:
            drawn = np.where(picture[..., 0] == 250, 255, 0).astype(np.uint8)
            write(made / "masks" / place, png(drawn))
    return made


def ingested(context: Context, folder: Path) -> tuple[Snapshot, Split]:
    snapshot = ingest.run(cropping(), context, landing.run(cropping(), context, str(folder)))
    rows = index_of(context, snapshot)
    listed = [row | {"split": SPLITS[place % 3]} for place, row in enumerate(rows)]
    return snapshot, divided(context, snapshot, listed)


def kept(context: Context, folder: Path, *, shade: int = 200) -> Segmenter:
    """A network in the store, as the stage leaves it."""
    write_finder(folder, cropping().image, shade=shade)
    path = f"pets/segmenters/shade-{shade}"
    done = Segmenter(dataset="pets", id=f"{shade}", path=path, sha256=digest(folder), images=4)
    for name in FILES:
        context.store.upload(folder / name, f"{path}/{name}")
    context.store.write_json(f"{path}/{MANIFEST}", {"output": done.model_dump(mode="json")})
    return done


def served(bundle: Path, finder: Path, cache: Path) -> Predictor:
    made = make_bundle(bundle, image=cropping().image, finder=finder)
    return open_predictor(made, "openvino", cache=cache, threads=1)


@pytest.mark.usefixtures("spark")
def test_spark_and_the_service_make_the_same_pixels_of_the_same_bytes(
    context: Context, folder: Path, tmp_path: Path
) -> None:
    finder = tmp_path / "finder"
    snapshot, split = ingested(context, folder)
    network = Segmenters(kept(context, finder))
    prepared = prepare.run(cropping(), context, snapshot, split, network)
    predictor = served(tmp_path / "bundle", finder, tmp_path / "cache")
    data = fetch(context, prepared)
    marked = 0
    for name in SPLITS:
        part = data.split(name)
        (batch,) = part.batches(100)
        for pixels, path in zip(batch.images, batch.paths, strict=True):
            picture = predictor.see((folder / path).read_bytes())
            np.testing.assert_array_equal(pixels, picture.fitted)
        places = part.with_lesion()
        for place, lesion in zip(places, part.lesions(places), strict=True):
            assert lesion.mean() > 0.25  # cropped as its image is
            assert (lesion == (batch.images[place].min(axis=2) > 185)).mean() > 0.95
            marked += 1
    assert marked == 4
    found = finder_of(context, prepared)
    assert found is not None
    counts = context.store.read_json(f"{prepared.path}/stats.json")
    assert sum(n for name in SPLITS for n in counts[name]["uncropped"].values()) == 2


@pytest.mark.usefixtures("spark")
def test_each_training_image_is_cropped_by_the_network_of_its_fold(
    context: Context, folder: Path, tmp_path: Path
) -> None:
    """One fold's network finds nothing: the images of that fold are whole, and no others."""
    snapshot, _ = ingested(context, folder)
    rows = index_of(context, snapshot)
    split_of = dict(zip((2, 3, 0, 5, 1, 4), ("train",) * 4 + ("validation", "test"), strict=True))
    listed = [
        row | {"split": split_of[place], "group": f"group-{place}"}
        for place, row in enumerate(rows)
    ]
    final, finds, blind = (
        kept(context, tmp_path / str(shade), shade=shade) for shade in (200, 190, 255)
    )
    fold_of = {"group-2": 0, "group-3": 1, "group-1": 1, "group-4": 1}
    networks = Segmenters(final, (finds, blind), fold_of)
    prepared = prepare.run(
        cropping(), context, snapshot, divided(context, snapshot, listed), networks
    )

    pixels: dict[str, NDArray[np.uint8]] = {}
    data = fetch(context, prepared)
    for name in SPLITS:
        for batch in data.split(name).batches(100):
            pixels |= dict(zip(batch.paths, batch.images, strict=True))
    for place, row in enumerate(rows):
        picture = decode((folder / row["source_path"]).read_bytes())
        in_train = split_of[place] == "train"
        used = networks.every[networks.index_of("train" if in_train else "test", f"group-{place}")]
        assert used == {2: finds, 3: blind}.get(place, final)
        find = LesionFinder(fetch_segmenter(context, used.path))
        expected = fit(picture, cropping().image, crop_box(picture, cropping().image, find))
        np.testing.assert_array_equal(pixels[row["source_path"]], expected)
    assert prepared.segmenter == final.path, "the service crops with the final one"
    whole = sum(
        context.store.read_json(f"{prepared.path}/stats.json")["train"]["uncropped"].values()
    )
    assert whole >= 1


@pytest.mark.usefixtures("spark")
def test_another_network_prepares_again(context: Context, folder: Path, tmp_path: Path) -> None:
    snapshot, split = ingested(context, folder)
    networks = tuple(kept(context, tmp_path / str(s), shade=s) for s in (200, 100))
    one, other = (
        prepare.run(cropping(), context, snapshot, split, Segmenters(network))
        for network in networks
    )
    folds = Segmenters(networks[0], networks, {"some group": 1})
    by_folds = prepare.run(cropping(), context, snapshot, split, folds)
    plain = prepare.run(cropping("none"), context, snapshot, split)

    assert len({one.id, other.id, plain.id}) == 3
    assert by_folds.id == one.id, "no image is in a fold"
    assert plain.segmenter is None
    assert "uncropped" not in context.store.read_json(f"{plain.path}/stats.json")["train"]


def test_heat_is_drawn_where_the_model_looked_and_nowhere_else(tmp_path: Path) -> None:
    finder = write_finder(tmp_path / "finder", cropping().image)
    predictor = served(tmp_path / "bundle", finder, tmp_path / "cache")
    picture = with_lesion(80, 100, top=40, left=60)

    reading = predictor.read(png(picture))
    drawn = [decode(predictor.overlay(reading, c, opacity=1)) for c in range(3)]
    told = [predictor.attention(reading, c) for c in range(3)]

    box = reading.box
    changed = np.any([(one != picture).any(axis=2) for one in drawn], axis=0)
    assert changed[box.top : box.bottom, box.left : box.right].any()
    changed[box.top : box.bottom, box.left : box.right] = False
    assert not changed.any()
    places = {place.where for found in told if found for place in found.places}
    assert places
    assert not any("upper" in where or "left" in where for where in places)


@pytest.mark.parametrize("name", FILES)
def test_a_bundle_that_crops_and_lacks_its_network_is_refused(tmp_path: Path, name: str) -> None:
    finder = write_finder(tmp_path / "finder", cropping().image)
    folder = make_bundle(tmp_path / "bundle", image=cropping().image, finder=finder)
    manifest = load_bundle(folder).manifest
    lost = f"{FINDER}/{name}"
    (folder / lost).unlink()
    listed = {file: digest for file, digest in manifest.files.items() if file != lost}
    write_manifest(folder, manifest.model_copy(update={"files": listed}))

    with pytest.raises(BundleError, match=f"does not list {lost}"):
        load_bundle(folder)


def test_a_network_that_cannot_be_loaded_is_told(tmp_path: Path) -> None:
    finder = write_finder(tmp_path / "finder", cropping().image)
    folder = make_bundle(tmp_path / "bundle", image=cropping().image, finder=finder)
    bundle = load_bundle(folder)
    (folder / FINDER / FILES[0]).write_text("<net>")

    with pytest.raises(BundleError, match="finder cannot be loaded"):
        _ = bundle.finder

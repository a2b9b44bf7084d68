import io
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from pipelines.data.input.cache import fetch
from pipelines.errors import NotFound
from pipelines.features import texture
from pipelines.outputs import DataProfile, Prepared
from pipelines.profile import look
from pipelines.profile.page import SECTIONS
from pipelines.profile.sums import Key, ShadeSums, sum_up, unpacked
from pipelines.settings import Settings
from pipelines.stage import Context
from pipelines.storage import open_store
from tests.pipelines.data.small_collection import images
from tests.pipelines.tracked import prepare_small, spec_of

pytestmark = pytest.mark.usefixtures("spark")

SPEC = spec_of("profiled", image={"size": 64})  # of smaller ones, deep features are all zero


@pytest.fixture(scope="module")
def there(tmp_path_factory: pytest.TempPathFactory) -> Context:
    return installation(tmp_path_factory.mktemp("profiled"))


def installation(folder: Path) -> Context:
    settings = Settings(home=folder / "home", store=(folder / "store").as_uri())
    return Context(settings=settings, store=open_store(settings))


@pytest.fixture(scope="module")
def prepared(there: Context) -> Prepared:
    """The first test image of class bright is also a training image, under another path."""
    rows = images(per_class=20)
    copied = next(r for r in rows if r["split"] == "test")
    original = next(r for r in rows if r["split"] == "train" and r["label"] == copied["label"])
    copied |= {name: original[name] for name in ("content", "sha256")}
    return prepare_small(there, SPEC, rows=rows)


@pytest.fixture
def profile(there: Context, prepared: Prepared) -> DataProfile:
    return look.run(SPEC, there, prepared)


def test_the_page_explains_every_picture_and_warns_of_look_alikes(
    there: Context, profile: DataProfile
) -> None:
    names = there.store.names(f"{profile.path}/pictures")
    assert names == sorted(f"{name}.png" for name in SECTIONS)
    for name in names:
        picture = Image.open(io.BytesIO(there.store.read(f"{profile.path}/pictures/{name}")))
        assert min(picture.size) > 100
    page = there.store.read(f"{profile.path}/report.html").decode()
    assert page.count("data:image/png;base64,") == len(SECTIONS)
    for title, _ in SECTIONS.values():
        assert title in page
    assert re.search(r"At least [1-9]\d* held-out images have a training image", page)


def test_statistics_and_mean_images_are_those_of_the_images(
    there: Context, prepared: Prepared, profile: DataProfile
) -> None:
    data = fetch(there, prepared)
    batches = list(data.split("train").batches(64))
    labels = np.concatenate([b.labels for b in batches])
    pictures = np.concatenate([b.images for b in batches])[labels == 0]
    greys = np.stack([np.asarray(Image.fromarray(p).convert("L")) for p in pictures])
    told = there.store.read_json(f"{profile.path}/statistics.json")["train"]["bright"]
    assert told["images"] == len(greys)
    assert told["grey_mean"] == pytest.approx(greys.mean(), abs=1e-3)
    assert told["grey_std"] == pytest.approx(greys.std(), abs=1e-3)
    assert sum(told["grey_histogram"]) == pytest.approx(1, abs=1e-4)
    assert set(told["texture"]) == set(texture.NAMES)
    expected = np.mean([texture.describe(grey)[0] for grey in greys])
    assert told["texture"]["mean"]["mean"] == pytest.approx(expected, rel=1e-4)
    with np.load(io.BytesIO(there.store.read(f"{profile.path}/images.npz"))) as arrays:
        np.testing.assert_allclose(arrays["train.bright.mean"], greys.mean(axis=0), rtol=1e-5)


def test_a_delivery_is_added_to_the_sums_and_gives_the_profile_of_all_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """To the last digit; only images that came, went or moved are read."""
    rows, asked = images(per_class=20), []
    moves = {**rows[5], "split": "test" if rows[5]["split"] == "train" else "train"}
    first, now = rows[:25], [*rows[3:5], moves, *rows[6:30]]

    def counted(*args: Any, **options: Any) -> dict[Key, ShadeSums]:
        asked.append(args[-1].num_rows)
        return sum_up(*args, **options)

    monkeypatch.setattr(look, "sum_up", counted)
    monkeypatch.setattr(look, "DESCRIBED", {"texture": None, "pixels": None})  # without a network
    in_turn, at_once = installation(tmp_path / "in-turn"), installation(tmp_path / "at-once")
    look.run(SPEC, in_turn, prepare_small(in_turn, SPEC, rows=first))
    grown = prepare_small(in_turn, SPEC, rows=now, identity="two", written=rows[25:30])
    whole = prepare_small(at_once, SPEC, rows=now)
    one, other = look.run(SPEC, in_turn, grown), look.run(SPEC, at_once, whole)

    assert asked == [25, 3 + 2 + 5, 27]
    for name in (look.REPORT, look.STATISTICS):
        assert in_turn.store.read(f"{one.path}/{name}") == at_once.store.read(
            f"{other.path}/{name}"
        )
    sums = [
        unpacked(place.store.read(f"{done.path}/{look.SUMS}"))
        for place, done in ((in_turn, one), (at_once, other))
    ]
    assert {key: one.total.tolist() for key, one in sums[0].items()} == {
        key: one.total.tolist() for key, one in sums[1].items()
    }


def test_a_profile_that_stands_is_not_made_again(
    there: Context, prepared: Prepared, profile: DataProfile, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(look, "_gather", None)
    assert look.run(SPEC, there, prepared) == profile


def test_a_training_set_that_is_gone_is_named(there: Context, prepared: Prepared) -> None:
    gone = prepared.model_copy(update={"id": "gone", "path": "profiled/training_sets/gone"})
    with pytest.raises(NotFound, match="gone"):
        look.run(SPEC, there, gone)

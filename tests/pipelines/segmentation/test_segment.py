"""A U-Net learns bright squares, resumes where it was killed, and is measured on masks."""

from pathlib import Path

import keras
import numpy as np
import pytest
from numpy.typing import NDArray

from pipelines.data.input.training_set import TrainingSet
from pipelines.errors import TrainingError
from pipelines.outputs import SplitName
from pipelines.segmentation import examples, segment, unet
from pipelines.segmentation.train import train
from pipelines.spec import SegmenterSpec
from tests.pipelines.data.small_collection import small_spec
from tests.pipelines.local_sets import Drawn, write_set

SIZE = 32
COUNTS: dict[SplitName, int] = {"train": 24, "validation": 8, "test": 12}
SAID = SegmenterSpec(epochs=3, batch_size=8, learning_rate=1e-2)


def example(number: int) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """A noisy picture with a bright square, and where it is."""
    drawn = np.random.default_rng(number)
    picture = drawn.integers(0, 80, (SIZE, SIZE, 3)).astype(np.uint8)
    mask = np.zeros((SIZE, SIZE), np.uint8)
    top, left = drawn.integers(0, SIZE - 12, 2)
    mask[top : top + 12, left : left + 12] = 1
    picture[mask > 0] += 150
    return picture, mask


def write_examples(cache: Path, *, masked: int) -> TrainingSet:
    """Images of which the first ``masked`` of each split have a mask."""
    images = []
    for seed, (split, count) in enumerate(COUNTS.items()):
        for number in range(count):
            picture, mask = example(1000 * seed + number)
            lesion = mask if number < masked else None
            images.append(
                Drawn(split, picture, number % 2, f"{split}-{number}", f"{split}-{number}", lesion)
            )
    return write_set(cache, images, ("bright", "dark"))


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> TrainingSet:
    return write_examples(tmp_path_factory.mktemp("segment") / "all", masked=100)


class Killed(Exception):
    """The process ends here."""


def test_a_killed_training_goes_on_and_learns(
    data: TrainingSet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(unet, "WIDTHS", (12, 24))

    def killed_after_one(epoch: int, _: dict[str, float]) -> None:
        if epoch == 1:
            raise Killed

    with pytest.raises(Killed):
        train(SAID, data, seed=3, folder=tmp_path, on_epoch=killed_after_one)
    told: list[int] = []
    _, progress = train(SAID, data, seed=3, folder=tmp_path, on_epoch=lambda e, _: told.append(e))

    losses = [epoch["loss"] for epoch in progress.history]
    assert told == [2, 3]
    assert len(losses) == SAID.epochs
    assert losses[-1] < losses[0] - 0.1


def finder(threshold: float) -> keras.Model:
    """Takes for lesion what is brighter than a shade."""
    image = keras.Input((SIZE, SIZE, 3), name="image")
    x = keras.layers.Conv2D(1, 1, activation="sigmoid", name="lesion")(image)
    model = keras.Model(image, x)
    model.layers[-1].set_weights([np.full((1, 1, 3, 1), 1 / 3), np.array([-threshold])])
    return model


def test_a_network_is_measured_on_the_test_masks(data: TrainingSet, tmp_path: Path) -> None:
    found = segment.measure(small_spec(), finder(120), data, drawn=tmp_path)

    assert found["images"] == COUNTS["test"]
    assert found["figures"]["dice"] == found["figures"]["iou"] == found["figures"]["kept"] == 1
    assert found["figures"]["average_dice"] < 0.7
    assert found["figures"]["area"] < 0.6
    assert found["intervals"]["dice"] == (1, 1)
    assert (tmp_path / "lesions.png").stat().st_size > 5_000


def test_a_network_that_finds_nothing_keeps_the_whole_picture(
    data: TrainingSet, tmp_path: Path
) -> None:
    found = segment.measure(small_spec(), finder(300), data, drawn=tmp_path)

    assert found["figures"]["dice"] == found["figures"]["iou"] == 0
    assert found["figures"]["kept"] == found["figures"]["area"] == 1


def test_images_without_a_mask_are_not_learned_from(tmp_path: Path) -> None:
    few = write_examples(tmp_path / "few", masked=10)

    assert len(examples.masked(few.split("train"))) == 10
    (batch,) = examples.in_order(few.split("test"), 64)
    pictures, masks = (part.numpy() for part in batch)
    assert pictures.shape == (10, SIZE, SIZE, 3)
    assert ((pictures.min(axis=-1, keepdims=True) > 140) == (masks > 0)).all()


def test_groups_that_are_held_out_are_not_learned_from(data: TrainingSet) -> None:
    train, held_out = data.split("train"), frozenset({"train-0", "train-3"})
    whole, rest = (
        np.concatenate([x.numpy() for x, _ in examples.shuffled(train, 8, seed=1, epoch=0, **out)])
        for out in ({"without": examples.NO_GROUPS}, {"without": held_out})
    )
    assert len(examples.masked(train, without=held_out)) == len(rest) == len(whole) - 2
    ways = [
        {np.rot90(turned, k).tobytes() for k in range(4)}
        for number in (0, 3)
        for picture in (example(number)[0].astype(np.float32),)
        for turned in (picture, picture[:, ::-1])
    ]
    held = set().union(*ways)
    assert sum(picture.tobytes() in held for picture in whole) == 2
    assert not any(picture.tobytes() in held for picture in rest)


def test_pictures_are_turned_with_their_masks_and_the_same_in_the_same_epoch(
    data: TrainingSet,
) -> None:
    train = data.split("train")
    first, again, other = (
        np.concatenate([x.numpy() for x, _ in examples.shuffled(train, 8, seed=1, epoch=epoch)])
        for epoch in (0, 0, 1)
    )
    for pictures, masks in examples.shuffled(data.split("train"), 8, seed=1, epoch=0):
        bright = pictures.numpy().min(axis=-1, keepdims=True) > 140
        assert (bright == (masks.numpy() > 0)).all()

    assert (first == again).all()
    assert first.shape == other.shape
    assert (first != other).any()


def test_too_few_masks_are_told_before_anything_is_trained(tmp_path: Path) -> None:
    few = write_examples(tmp_path / "few", masked=3)

    with pytest.raises(TrainingError, match=r"Only 3 images of the train split .*landing\.masks"):
        train(SAID, few, seed=3, folder=tmp_path / "none", on_epoch=lambda *_: None)

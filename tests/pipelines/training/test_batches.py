"""What a training is shown: targets, weights, how often, and by whom they are answered."""

from typing import Any

import keras
import numpy as np
import pytest
from numpy.typing import NDArray

from pipelines.data.input.training_set import TrainingSet, pixels
from pipelines.errors import TrainingError
from pipelines.training.batches import taught, training_batches, validation_batches
from tests.pipelines.training.small_sets import candidate, small_set

Epoch = tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.float32]]


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> TrainingSet:
    return small_set(tmp_path_factory.mktemp("batches") / "cache")


def epoch_of(data: TrainingSet, epoch: int = 0, **fields: Any) -> Epoch:
    """Inputs, targets and weights of an epoch, batches joined."""
    stream = pixels(data.split("train"))
    shown = training_batches(stream, data, candidate(**fields), strength="none", seed=1)(epoch)
    inputs, targets, weights = zip(*shown.as_numpy_iterator(), strict=True)
    return np.concatenate(inputs), np.concatenate(targets), np.concatenate(weights)


def test_each_image_comes_once_and_rare_classes_weigh_more(data: TrainingSet) -> None:
    inputs, targets, weights = epoch_of(data)
    assert len({image.tobytes() for image in inputs}) == 32
    assert targets.sum(axis=0).tolist() == [20, 12]
    assert weights @ targets == pytest.approx([16, 16])


def test_rare_classes_come_more_often_and_weigh_no_more(data: TrainingSet) -> None:
    inputs, targets, weights = epoch_of(data, balance="class_sampling")
    assert targets.sum(axis=0).tolist() == [16, 16]
    assert set(weights) == {1.0}
    bright = inputs[targets[:, 1] == 1]
    assert len({image.tobytes() for image in bright}) == 12


def test_images_keep_their_labels_whatever_is_drawn(data: TrainingSet) -> None:
    batches = list(data.split("train").batches(64))
    label = {
        image.tobytes(): y
        for batch in batches
        for image, y in zip(batch.images, batch.labels, strict=True)
    }
    for epoch in (0, 1):
        inputs, targets, _ = epoch_of(data, epoch, balance="class_sampling")
        found = [label[image.astype(np.uint8).tobytes()] for image in inputs]
        assert found == targets.argmax(axis=1).tolist()


def test_mixed_images_weigh_as_their_parts_do(data: TrainingSet) -> None:
    _, targets, weights = epoch_of(data, mixup=1.0)
    assert targets.sum(axis=1) == pytest.approx(np.ones(32))
    assert weights == pytest.approx(targets @ [0.8, 32 / 24])
    assert ((targets > 0.1).sum(axis=1) == 2).any()


def test_sources_that_nobody_named_cannot_be_balanced(data: TrainingSet) -> None:
    with pytest.raises(TrainingError, match="No source of a training image is known"):
        epoch_of(data, balance="source_sampling")


def test_validation_is_neither_weighed_nor_mixed(data: TrainingSet) -> None:
    rows = validation_batches(pixels(data.split("validation")), data, batch_size=64)
    ((_, targets, weights),) = rows.as_numpy_iterator()
    assert np.array_equal(targets.argmax(axis=1), data.split("validation").labels())
    assert set(weights) == {1.0}


def test_a_teacher_answers_for_what_is_shown(data: TrainingSet) -> None:
    brightness = keras.Sequential(
        [keras.Input((64, 64, 3)), keras.layers.GlobalAveragePooling2D(), keras.layers.Softmax()]
    )
    stream = pixels(data.split("train"))
    shown = training_batches(stream, data, candidate(mixup=1.0), strength="light", seed=1)(0)
    for x, targets, weights in taught(shown, brightness).as_numpy_iterator():
        assert targets == pytest.approx(brightness.predict(x, verbose=0), abs=1e-5)
        assert len(weights) == len(x)

"""A U-Net learns bright squares, resumes where it was killed, and is measured on masks."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from numpy.typing import NDArray

from pipelines.data.shards import Shards, read_shards
from pipelines.errors import TrainingError
from pipelines.segmentation import examples, segment
from pipelines.segmentation.train import train
from pipelines.spec import SegmenterSpec
from tests.pipelines.data.small_collection import small_spec

SIZE = 32
SAID = SegmenterSpec(epochs=8, batch_size=8, learning_rate=1e-2)


def example(number: int) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """A noisy picture with a bright square, and where it is."""
    drawn = np.random.default_rng(number)
    picture = drawn.integers(0, 80, (SIZE, SIZE, 3)).astype(np.uint8)
    mask = np.zeros((SIZE, SIZE), np.uint8)
    top, left = drawn.integers(0, SIZE - 12, 2)
    mask[top : top + 12, left : left + 12] = 1
    picture[mask > 0] += 150
    return picture, mask


def write_shards(folder: Path, *, masked: int) -> Shards:
    """48, 16 and 16 images in two files a split; the first ``masked`` of each have a mask."""
    folder.mkdir(parents=True)
    splits: dict[str, Any] = {}
    for seed, (split, count) in enumerate({"train": 48, "validation": 16, "test": 16}.items()):
        files = []
        for part in range(2):
            numbers = range(part, count, 2)
            drawn = [example(1000 * seed + n) for n in numbers]
            masks = [
                m.tobytes() if n < masked else None
                for n, (_, m) in zip(numbers, drawn, strict=True)
            ]
            table = {
                "pixels": pa.array([p.tobytes() for p, _ in drawn], pa.binary()),
                "label": pa.array([n % 2 for n in numbers], pa.int32()),
                "lesion": pa.array(masks, pa.binary()),
                **{
                    name: [f"{split}-{name}-{n}" for n in numbers]
                    for name in ("sha256", "source_path", "group")
                },
            }
            name = f"{split}-{part}.parquet"
            pq.write_table(pa.table(table), folder / name)
            files.append({"name": name, "rows": len(drawn), "sha256": "", "bytes": 0})
        splits[split] = {"rows": count, "files": files}
    manifest = {"size": SIZE, "classes": ["bright", "dark"], "splits": splits}
    (folder / "manifest.json").write_text(json.dumps(manifest))
    return read_shards(folder)


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Shards:
    return write_shards(tmp_path_factory.mktemp("shards") / "all", masked=100)


class Killed(Exception):
    """The process ends here."""


def test_a_killed_training_comes_to_the_same_network_and_finds_squares(
    data: Shards, tmp_path: Path
) -> None:
    whole, progress = train(SAID, data, seed=3, folder=tmp_path / "whole", on_epoch=lambda *_: None)

    def killed_after_three(epoch: int, _: dict[str, float]) -> None:
        if epoch == 3:
            raise Killed

    with pytest.raises(Killed):
        train(SAID, data, seed=3, folder=tmp_path / "cut", on_epoch=killed_after_three)
    told: list[int] = []
    cut, resumed = train(
        SAID, data, seed=3, folder=tmp_path / "cut", on_epoch=lambda e, _: told.append(e)
    )
    found = segment.measure(small_spec(), whole, data, drawn=tmp_path)

    assert told == list(range(4, resumed.epochs + 1))
    assert resumed.best_loss == pytest.approx(progress.best_loss, rel=0.02)
    for one, other in zip(whole.get_weights(), cut.get_weights(), strict=True):
        np.testing.assert_allclose(one, other, atol=0.02)
    assert found["images"] == 16
    assert found["figures"]["dice"] > 0.8 > 0.5 > found["figures"]["average_dice"]
    assert found["figures"]["iou"] < found["figures"]["dice"]
    assert found["figures"]["kept"] > 0.9
    assert found["figures"]["area"] < 0.8
    low, high = found["intervals"]["dice"]
    assert low <= found["figures"]["dice"] <= high
    assert (tmp_path / "lesions.png").stat().st_size > 5_000


def test_images_without_a_mask_are_not_learned_from(tmp_path: Path) -> None:
    few = write_shards(tmp_path / "few", masked=10)

    assert examples.masked(few.split("train")) == 10
    (batch,) = examples.in_order(few.split("test"), 64)
    pictures, masks = (part.numpy() for part in batch)
    assert pictures.shape == (10, SIZE, SIZE, 3)
    assert ((pictures.min(axis=-1, keepdims=True) > 140) == (masks > 0)).all()


def test_pictures_are_turned_with_their_masks_and_the_same_in_the_same_epoch(data: Shards) -> None:
    first, again, other = (
        np.concatenate([x.numpy() for x, _ in examples.shuffled(data.split("train"), 8, **epoch)])
        for epoch in ({"seed": 1, "epoch": 0}, {"seed": 1, "epoch": 0}, {"seed": 1, "epoch": 1})
    )
    for pictures, masks in examples.shuffled(data.split("train"), 8, seed=1, epoch=0):
        bright = pictures.numpy().min(axis=-1, keepdims=True) > 140
        assert (bright == (masks.numpy() > 0)).all()

    assert (first == again).all()
    assert first.shape == other.shape
    assert (first != other).any()


def test_too_few_masks_are_told_before_anything_is_trained(tmp_path: Path) -> None:
    few = write_shards(tmp_path / "few", masked=3)

    with pytest.raises(TrainingError, match=r"Only 3 images of the train split .* landing\.masks"):
        train(SAID, few, seed=3, folder=tmp_path / "none", on_epoch=lambda *_: None)

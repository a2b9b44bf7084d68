"""Every recipe trains, is found finished, and goes on after SIGKILL as if nothing had been."""

from dataclasses import dataclass
from functools import cache
from pathlib import Path

import keras
import numpy as np
import pytest

from pipelines.data.input.cache import read_set
from pipelines.errors import TrainingError
from pipelines.models.head import backbone
from pipelines.models.registry import build
from pipelines.outputs import SplitName
from pipelines.spec import CandidateSpec
from pipelines.training.objective import loss_of
from pipelines.training.train import TrainedModel, train
from tests.pipelines.forks import Forks
from tests.pipelines.local_sets import PATH
from tests.pipelines.training.small_sets import CLASSES, SIZE, candidate, small_set

CHILD = Path(__file__).with_name("run_until_killed.py")
RECIPES = {
    "scratch": candidate(
        recipe="scratch", epochs=3, augment="strong", mixup=0.3, balance="class_sampling"
    ),
    "frozen": candidate(recipe="frozen", epochs=3, weights="scratch"),
    "finetune": candidate(
        recipe="finetune", epochs=1, finetune_epochs=2, finetune_layers=2, weights="scratch"
    ),
}
"""Weights ``scratch`` are those that the recipe of this name has trained."""
KILLED_AFTER = 2


@dataclass(frozen=True)
class Training:
    """A training that came to its end."""

    folder: Path
    done: TrainedModel
    told: list[int]
    """The epochs that were told."""

    def model(self) -> keras.Model:
        return keras.saving.load_model(self.done.path, compile=False)


def finish(chosen: CandidateSpec, folder: Path) -> Training:
    """Train in ``folder`` to the end."""
    told: list[int] = []
    done = train(
        chosen,
        read_set(folder / "cache" / PATH)
        if (folder / "cache").exists()
        else small_set(folder / "cache"),
        seed=3,
        workdir=folder / "work",
        on_epoch=lambda epoch, _: told.append(epoch),
    )
    return Training(folder, done, told)


class Unbroken:
    """Each recipe's training without a kill, made when it is first asked for."""

    def __init__(self, folder: Path) -> None:
        self.of = cache(lambda recipe: finish(self.chosen(recipe), folder / recipe))

    def chosen(self, recipe: str) -> CandidateSpec:
        """The recipe's candidate, with its pretrained weights."""
        if recipe == "scratch":
            return RECIPES[recipe]
        return RECIPES[recipe].model_copy(update={"weights": str(self.pretrained)})

    @property
    def pretrained(self) -> Path:
        """A network with weights and statistics of its own."""
        return self.of("scratch").done.path


@pytest.fixture(scope="module")
def unbroken(tmp_path_factory: pytest.TempPathFactory) -> Unbroken:
    return Unbroken(tmp_path_factory.mktemp("unbroken"))


def train_until_killed(chosen: CandidateSpec, folder: Path, forks: Forks) -> None:
    """Train in another process and kill it, without warning, once it told of `KILLED_AFTER`."""
    child = forks.start(CHILD.read_text(), str(folder), chosen.model_dump_json())
    told = any(line.split() == ["epoch", str(KILLED_AFTER)] for line in child.lines())
    assert told
    child.kill()


def moved_layers(trained: keras.Model, pretrained: Path) -> set[str]:
    """Layers whose weights are no longer those of the pretrained network."""
    fresh = build("strided_cnn", size=SIZE, classes=len(CLASSES), weights=str(pretrained))
    pairs = [(layer, trained.get_layer(layer.name)) for layer in fresh.layers]
    return {
        old.name
        for old, new in pairs
        for a, b in zip(old.get_weights(), new.get_weights(), strict=True)
        if not np.array_equal(a, b)
    }


@pytest.mark.parametrize("recipe", RECIPES)
def test_a_killed_training_ends_as_an_unbroken_one(
    recipe: str, unbroken: Unbroken, tmp_path: Path, forks: Forks
) -> None:
    small_set(tmp_path / "cache")
    train_until_killed(unbroken.chosen(recipe), tmp_path, forks)
    resumed, whole = finish(unbroken.chosen(recipe), tmp_path), unbroken.of(recipe)

    assert whole.told == [1, 2, 3]
    assert resumed.told in ([3], [])
    assert resumed.done.best_epoch == whole.done.best_epoch
    assert len(resumed.done.history) == 3
    for one, other in zip(whole.done.history, resumed.done.history, strict=True):
        assert one == pytest.approx(other, rel=1e-3, abs=1e-4)
    pictures = np.random.default_rng(0).uniform(0, 255, (4, SIZE, SIZE, 3)).astype(np.float32)
    expected, found = (t.model().predict(pictures, verbose=0) for t in (whole, resumed))
    assert np.allclose(found, expected, atol=1e-3)


def test_a_finished_training_is_not_repeated(unbroken: Unbroken) -> None:
    first = unbroken.of("scratch")
    again = finish(RECIPES["scratch"], first.folder)
    assert (again.done, again.told) == (first.done, [])
    left = sorted(path.name for path in (first.folder / "work").iterdir())
    assert left == ["model.keras", "result.json", "training.id"]


@pytest.mark.parametrize("recipe", RECIPES)
def test_the_saved_model_predicts_as_its_best_epoch_did(recipe: str, unbroken: Unbroken) -> None:
    training = unbroken.of(recipe)
    validation = read_set(training.folder / "cache" / PATH).split("validation")
    images = np.concatenate([b.images for b in validation.batches(16)]).astype(np.float32)
    chosen = training.model().predict(images, verbose=0).argmax(axis=1)
    best = training.done.history[training.done.best_epoch - 1]
    assert (chosen == validation.labels()).mean() == pytest.approx(best["val_accuracy"])


def test_frozen_trains_the_head_only(unbroken: Unbroken) -> None:
    training = unbroken.of("frozen")
    assert moved_layers(training.model(), unbroken.pretrained) == {"hidden", "logits"}
    losses = [metrics["loss"] for metrics in training.done.history]
    assert losses[-1] < losses[0]
    assert training.done.trainable_parameters == 192 * 256 + 256 + 256 * 2 + 2


def test_finetuning_moves_the_last_blocks_but_no_statistics(unbroken: Unbroken) -> None:
    training = unbroken.of("finetune")
    assert moved_layers(training.model(), unbroken.pretrained) == {
        *("hidden", "logits"),
        *(f"block{block}_{part}" for block in (2, 3) for part in ("down_conv", "conv")),
    }


def test_the_folder_of_another_training_is_refused(unbroken: Unbroken) -> None:
    folder = unbroken.of("scratch").folder
    with pytest.raises(TrainingError, match="holds another training"):
        finish(candidate(epochs=2), folder)


def test_an_ensemble_is_the_mean_of_its_members_and_trains_nothing(
    unbroken: Unbroken, tmp_path: Path
) -> None:
    members = [unbroken.of(recipe) for recipe in ("scratch", "frozen")]
    joined = {"recipe": "ensemble", "model": "ensemble", "members": ("a", "b")}
    chosen = candidate(**joined, poses="mirrored")
    told: list[int] = []
    done = train(
        chosen,
        small_set(tmp_path / "cache"),
        seed=3,
        workdir=tmp_path / "work",
        on_epoch=lambda epoch, _: told.append(epoch),
        others=[member.done.path for member in members],
    )
    pictures = np.random.default_rng(0).uniform(0, 255, (4, SIZE, SIZE, 3)).astype(np.float32)
    each = [
        np.log(member.model().predict(pose, verbose=0))
        for member in members
        for pose in (pictures, pictures[:, :, ::-1])
    ]
    odds = np.exp(np.mean(each, axis=0))
    found = keras.saving.load_model(done.path, compile=False).predict(pictures, verbose=0)
    assert np.allclose(found, odds / odds.sum(axis=1, keepdims=True), atol=1e-4)
    assert (told, done.history, done.epochs) == ([], [], 0)
    assert done.parameters == sum(member.done.parameters for member in members)


def test_a_pupil_learns_what_its_teacher_says(unbroken: Unbroken, tmp_path: Path) -> None:
    teacher = unbroken.of("frozen")
    chosen = candidate(epochs=1, teachers=("frozen",), augment="light")
    done = train(
        chosen,
        small_set(tmp_path / "cache"),
        seed=3,
        workdir=tmp_path / "work",
        on_epoch=lambda *_: None,
        others=[teacher.done.path],
    )
    assert len(done.history) == 1
    assert np.isfinite(done.history[0]["loss"])


def test_a_class_without_images_is_named(tmp_path: Path) -> None:
    counts: dict[SplitName, tuple[int, ...]] = {
        "train": (8, 0),
        "validation": (4, 4),
        "test": (2, 2),
    }
    data = small_set(tmp_path / "cache", counts)
    with pytest.raises(TrainingError, match="'bright'"):
        train(candidate(), data, seed=1, workdir=tmp_path / "work", on_epoch=lambda *_: None)


# Fine-tuning keeps the best model of both phases

WORSE = {"epochs": 2, "finetune_epochs": 2, "finetune_layers": 1, "finetune_learning_rate": 0.9}
"""Steps so long that they destroy what the head has learned."""


def test_finetuning_that_makes_things_worse_returns_the_head_however_often_it_is_killed(
    tmp_path: Path,
) -> None:
    pretrained = tmp_path / "pretrained.keras"
    build("strided_cnn", size=SIZE, classes=2, weights=None).save(pretrained)
    judge = {"label_smoothing": 0.1, "loss": "focal", "augment": "light"}
    chosen = candidate(recipe="finetune", weights=str(pretrained), **WORSE, **judge)
    small_set(tmp_path / "cache")
    cut_off(chosen, tmp_path, after=2)
    cut_off(chosen, tmp_path, after=3)
    training = finish(chosen, tmp_path)
    losses = [metrics["val_loss"] for metrics in training.done.history]
    assert min(losses[2:]) > 2 * min(losses[:2])
    assert training.done.best_epoch == 1 + int(np.argmin(losses)) <= 2
    assert validation_loss(training, chosen) == pytest.approx(min(losses), rel=1e-3)
    before = backbone(keras.saving.load_model(pretrained, compile=False)).get_weights()
    after = backbone(training.model()).get_weights()
    assert all(np.array_equal(a, b) for a, b in zip(before, after, strict=True))


class CutOff(Exception):
    """Stands for a kill right after an epoch was saved."""


def cut_off(chosen: CandidateSpec, folder: Path, *, after: int) -> None:
    def stop(epoch: int, _: dict[str, float]) -> None:
        if epoch == after:
            raise CutOff

    with pytest.raises(CutOff):
        train(
            chosen,
            read_set(folder / "cache" / PATH),
            seed=3,
            workdir=folder / "work",
            on_epoch=stop,
        )


def validation_loss(training: Training, chosen: CandidateSpec) -> float:
    """The finished model's own loss on the validation images."""
    split = read_set(training.folder / "cache" / PATH).split("validation")
    images = np.concatenate([b.images for b in split.batches(16)]).astype(np.float32)
    model = training.model()
    logits = keras.Model(model.input, model.get_layer("logits").output)(images)
    targets = keras.ops.one_hot(split.labels(), len(CLASSES))
    return float(loss_of(chosen)(targets, logits))

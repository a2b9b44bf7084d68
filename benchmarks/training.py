"""What a training costs beside its arithmetic, and whether it comes to the same twice.

    python -m benchmarks.training speed FOLDER
    python -m benchmarks.training input FOLDER
    python -m benchmarks.training memory FOLDER
    python -m benchmarks.training repeat FOLDER

FOLDER is a training set on this machine (``$MEDLOOP_HOME/cache/<dataset>/training_sets/<id>``).

speed: processor time of one batch from the cache, augmented, beside that of one step of
fine-tuning on a batch that is held in memory. Processor time, of all threads, is what the input
takes from training where both share the cores, and says the same on a machine that is busy with
other things; where cores are idle, batches are made beside the steps and cost nothing.

input: images a second that the input alone delivers, and for each second of processor time.

memory: the most memory of its own (mapped files do not count: the system takes them back) that a
process held that trained an epoch on the folder's training images, and on four times as many.

repeat: the figures of a training, of the same one again, and of one that was killed (SIGKILL) at
random moments and taken up until it was done.
"""

import argparse
import multiprocessing
import random
import statistics
import tempfile
import time
from collections.abc import Callable
from itertools import chain, count
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from rich.table import Table

from pipelines.data.input.cache import read_set
from pipelines.data.input.training_set import Part, TrainingSet, pixels
from pipelines.outputs import SPLITS
from pipelines.spec import CandidateSpec
from pipelines.training.train import TrainedModel, train

BATCHES = 12
STEPS = 6
INPUT_BATCHES = 40
GROWN = 4
SEED = 17
Fields = dict[str, Any]
AS_SHIPPED: Fields = {
    "name": "bench",
    "model": "efficientnet_lite0",
    "recipe": "finetune",
    "epochs": 2,
    "finetune_layers": 10,
    "batch_size": 32,
}
RECIPES: dict[str, Fields] = {
    "as it is": {},
    "light": {"augment": "light"},
    "strong, mixup": {"augment": "strong", "mixup": 0.2},
}
REPEATED: dict[str, Fields] = {
    "finetune, strong, mixup": {
        **{"epochs": 2, "finetune_epochs": 2, "finetune_layers": 2},
        **{"augment": "strong", "mixup": 0.2},
    },
    "scratch, light": {
        **{"model": "strided_cnn", "recipe": "scratch", "weights": None},
        **{"epochs": 4, "augment": "light"},
    },
}


def main() -> None:
    """Measure what is asked for and print one table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("what", choices=("speed", "input", "memory", "repeat"))
    parser.add_argument("folder", type=Path)
    options = parser.parse_args()
    measure = {"speed": speed, "input": delivered, "memory": memory, "repeat": repeat}
    Console().print(measure[options.what](read_set(options.folder)))


def candidate(fields: Fields) -> CandidateSpec:
    """Fine-tuning as it is shipped, but for some fields."""
    return CandidateSpec.model_validate(AS_SHIPPED | fields)


def speed(data: TrainingSet) -> Table:
    """Processor time of a batch beside that of a step."""
    table = Table(
        *("augmentation", "a batch, ms", "a step, ms", "both, against the step"),
        title=f"Fine-tuning at {data.size} pixels, batches of {AS_SHIPPED['batch_size']}",
    )
    step = _step_seconds(data)
    for name, fields in RECIPES.items():
        batch = _batch_seconds(data, candidate(fields))
        ratio = (batch + step) / step
        table.add_row(name, f"{batch * 1e3:.0f}", f"{step * 1e3:.0f}", f"{ratio:.2f}")
    return table


def _batch_seconds(data: TrainingSet, chosen: CandidateSpec) -> float:
    """Processor time of a batch, once the pipeline is full."""
    epochs = _epochs(data, chosen)
    batches = chain.from_iterable(epochs(number) for number in count())
    next(batches)
    _settle()
    began = time.process_time()
    for _ in range(BATCHES):
        next(batches)
    _settle()  # as many more are made as were taken
    return (time.process_time() - began) / BATCHES


def _step_seconds(data: TrainingSet) -> float:
    """Processor time of a step on a batch in memory, once it is traced."""
    chosen = candidate({})
    held = next(iter(_epochs(data, chosen)(0)))
    model = _thawed(data, chosen)
    spent = []
    for _ in range(1 + STEPS):
        began = time.process_time()
        model.train_on_batch(*held)
        spent.append(time.process_time() - began)
    return statistics.median(spent[1:])


def _epochs(data: TrainingSet, chosen: CandidateSpec) -> Callable[[int], Any]:
    """The batches of an epoch by its number, as training sees them."""
    from pipelines.training.batches import training_batches

    stream = pixels(data.split("train"))
    return training_batches(stream, data, chosen, strength=chosen.augment, seed=SEED)


def _settle() -> None:
    """Wait until the pipeline has filled its buffers and is idle."""
    spent = -1.0
    while time.process_time() - spent > 0.02:
        spent = time.process_time()
        time.sleep(1)


def _thawed(data: TrainingSet, chosen: CandidateSpec) -> Any:
    """The network, ready for fine-tuning."""
    import keras

    from pipelines.models.registry import build
    from pipelines.training.finetune import thaw
    from pipelines.training.objective import compile_for

    model = build(chosen.model, size=data.size, classes=len(data.classes), weights=chosen.weights)
    thaw(model, chosen.finetune_layers)
    logits = keras.Model(model.input, model.get_layer("logits").output)
    compile_for(logits, chosen, learning_rate=chosen.finetune_learning_rate)
    return logits


def delivered(data: TrainingSet) -> Table:
    """Images a second of the input alone, once it is warm."""
    table = Table(
        *("augmentation", "images/s", "images per second of processor time"),
        title=f"Input alone at {data.size} pixels",
    )
    for name, fields in RECIPES.items():
        chosen = candidate(fields)
        batches = chain.from_iterable(map(_epochs(data, chosen), count()))
        next(batches)
        began, spent = time.perf_counter(), time.process_time()
        for _ in range(INPUT_BATCHES):
            next(batches)
        images = INPUT_BATCHES * chosen.batch_size
        seconds, processor = time.perf_counter() - began, time.process_time() - spent
        table.add_row(name, f"{images / seconds:,.0f}", f"{images / processor:,.0f}")
    return table


def memory(data: TrainingSet) -> Table:
    """Megabytes held at most, as the data grows."""
    table = Table("training images", "MB of pixels", "MB held", title="One epoch, in memory")
    whole = {name: np.ones(data.split(name).rows, bool) for name in SPLITS}
    for times in (1, GROWN):
        grown = data.subset([Part("train", whole["train"], "train")] * times)
        rows = grown.split("train").rows
        held = _in_a_process(_epoch, grown)
        table.add_row(f"{rows:,}", f"{rows * data.size**2 * 3 / 1e6:,.0f}", f"{held:,.0f}")
    return table


def _epoch(data: TrainingSet, answer: Any) -> None:
    """Train an epoch of a network so small that nearly all of its time and memory is input."""
    import keras

    layers = keras.layers
    model = keras.Sequential(
        [
            keras.Input((data.size, data.size, 3)),
            layers.AveragePooling2D(8),
            layers.Flatten(),
            layers.Dense(len(data.classes)),
        ]
    )
    model.compile("sgd", keras.losses.CategoricalCrossentropy(from_logits=True))
    held = [0.0]
    look = keras.callbacks.LambdaCallback(
        on_train_batch_end=lambda *_, **__: held.append(_own_memory())
    )
    epoch = _epochs(data, candidate({"augment": "light"}))(0)
    model.fit(epoch, shuffle=False, verbose=0, callbacks=[look])
    answer.put(max(held))


def _own_memory() -> float:
    """Megabytes of this process that no file on disk holds."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) / 1e3 for line in lines if line.startswith("RssAnon"))


def _in_a_process(work: Callable[[TrainingSet, Any], None], data: TrainingSet) -> Any:
    spawn = multiprocessing.get_context("spawn")
    answer = spawn.Queue()
    process = spawn.Process(target=work, args=(data, answer))
    process.start()
    result = answer.get()
    process.join()
    return result


def repeat(data: TrainingSet) -> Table:
    """Largest differences of figures and probabilities from those of an undisturbed training."""
    table = Table(
        *("recipe", "training", "validation loss", "validation accuracy", "probability"),
        title="Largest difference from an undisturbed training of the same seed",
    )
    for name, fields in REPEATED.items():
        chosen = candidate(fields)
        with tempfile.TemporaryDirectory(prefix="medloop-benchmark-") as folder:
            first, seconds = _undisturbed(data, chosen, Path(folder) / "first")
            again, _ = _undisturbed(data, chosen, Path(folder) / "again")
            killed, kills = _killed(data, chosen, Path(folder) / "killed", within=seconds)
            others = {"again": again, f"killed {kills} times": killed}
            for label, other in others.items():
                table.add_row(name, label, *_apart(data, first, other))
    return table


def _undisturbed(
    data: TrainingSet, chosen: CandidateSpec, workdir: Path
) -> tuple[TrainedModel, float]:
    began = time.perf_counter()
    process = _begin(data, chosen, workdir)
    process.join()
    return _finished(workdir), time.perf_counter() - began


def _killed(
    data: TrainingSet, chosen: CandidateSpec, workdir: Path, *, within: float
) -> tuple[TrainedModel, int]:
    """Kill a training at random moments, twice at most, and let it end."""
    drawn, kills = random.Random(SEED), 0
    while kills < 2:
        process = _begin(data, chosen, workdir)
        process.join(drawn.uniform(0.2, 0.5) * within)  # a second time before its end, too
        if not process.is_alive():
            break
        process.kill()
        process.join()
        kills += 1
    _begin(data, chosen, workdir).join()
    return _finished(workdir), kills


def _begin(data: TrainingSet, chosen: CandidateSpec, workdir: Path) -> Any:
    spawn = multiprocessing.get_context("spawn")
    process = spawn.Process(target=_train, args=(data, chosen, workdir))
    process.start()
    return process


def _train(data: TrainingSet, chosen: CandidateSpec, workdir: Path) -> None:
    train(chosen, data, seed=SEED, workdir=workdir, on_epoch=lambda *_: None)


def _finished(workdir: Path) -> TrainedModel:
    return TrainedModel.model_validate_json((workdir / "result.json").read_text())


def _apart(data: TrainingSet, one: TrainedModel, other: TrainedModel) -> list[str]:
    pairs = list(zip(one.history, other.history, strict=True))
    figures = [
        max(abs(a[name] - b[name]) for a, b in pairs) for name in ("val_loss", "val_accuracy")
    ]
    said = [_answers(data, done.path) for done in (one, other)]
    return [f"{value:.1e}" for value in (*figures, np.abs(said[0] - said[1]).max())]


def _answers(data: TrainingSet, model_file: Path) -> Any:
    import keras

    model = keras.saving.load_model(model_file, compile=False)
    batches = data.split("validation").batches(32)
    return np.concatenate(
        [model(batch.images.astype(np.float32), training=False).numpy() for batch in batches]
    )


if __name__ == "__main__":
    main()

"""Pictures as they come when something has changed, and what a bundle answers to them.

A pool is the same pictures, changed in one way; windows are drawn from pools. Pools are kept as
Parquet files, so that windows can be drawn anew without asking the model again.
"""

import io
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray
from PIL import Image
from sklearn.datasets import load_sample_images

from pipelines.imaging import decode
from pipelines.monitoring.answers import Answers, of_samples, to_table
from pipelines.monitoring.ask import collected, noted
from pipelines.progress import track
from pipelines.release.bundle import BundleManifest
from pipelines.release.predictor import Predictor
from pipelines.settings import get_settings

Picture = NDArray[np.uint8]
NOISE = 10.0
"""Standard deviation of a scanner's noise in either channel, in shades of 256."""
STRANGERS = 200


@dataclass(frozen=True)
class Original:
    """A picture of a collection, and what is known of it."""

    file: Path
    label: str
    group: str


@dataclass(frozen=True)
class Pool:
    """Answers to the pictures of a collection, changed in one way."""

    answers: Answers
    labels: NDArray[np.int64]
    """(n,) index of the true class; -1 of a picture that shows none."""

    def save(self, file: Path) -> None:
        """Write it."""
        table = to_table(self.answers).append_column("label", pa.array(self.labels))
        groups = pa.array(self.answers.groups, pa.string())
        file.parent.mkdir(parents=True, exist_ok=True)
        pq.write_table(table.append_column("group", groups), file)

    @classmethod
    def load(cls, file: Path, classes: tuple[str, ...]) -> "Pool":
        """Read it."""
        table = pq.read_table(file)
        answers = of_samples(table, classes).known_by(tuple(table["group"].to_pylist()))
        return cls(answers, table["label"].to_numpy())


def brighter(picture: Picture) -> Picture:
    """By a fifth, as a screen's or an export's setting does it."""
    return np.asarray(np.clip(picture * 1.2, 0, 255), np.uint8)


def blurred(picture: Picture) -> Picture:
    """A little out of focus, or scaled by a careless program."""
    return np.asarray(cv2.GaussianBlur(picture, (0, 0), 1.2), np.uint8)


def noisy(picture: Picture) -> Picture:
    """Rician noise, that of a magnitude image (Gudbjartsson and Patz, Magn Reson Med 34, 1995)."""
    random = np.random.default_rng(zlib.crc32(picture.tobytes()))
    real, imaginary = random.normal(0, NOISE, (2, *picture.shape[:2], 1))
    return np.asarray(np.clip(np.hypot(picture + real, imaginary), 0, 255), np.uint8)


CHANGES: dict[str, Callable[[Picture], Picture]] = {
    "clean": lambda picture: picture,
    "brighter by a fifth": brighter,
    "blurred, sigma 1.2": blurred,
    f"noise of another scanner, sigma {NOISE:g}": noisy,
}


def strangers(folder: Path | None) -> list[Picture]:
    """Pictures of another kind: those of a folder, or crops of the two photographs that
    scikit-learn brings."""
    if folder is not None:
        files = sorted(path for path in folder.rglob("*") if path.suffix in (".jpeg", ".jpg"))
        chosen = np.random.default_rng(0).choice(len(files), STRANGERS, replace=False)
        return [decode(files[index].read_bytes()) for index in chosen]
    return list(_crops(np.random.default_rng(0)))


def _crops(random: np.random.Generator) -> Iterator[Picture]:
    wholes = load_sample_images().images
    for number in range(STRANGERS):
        whole = wholes[number % 2]
        side = int(random.integers(120, 420))
        top, left = (int(random.integers(0, length - side)) for length in whole.shape[:2])
        crop = whole[top : top + side, left : left + side]
        yield np.asarray(cv2.resize(crop, (128, 128), interpolation=cv2.INTER_AREA), np.uint8)


def pool_of(
    predictor: Predictor,
    pictures: Iterator[Picture],
    originals: list[Original],
    *,
    what: str,
) -> Pool:
    """Ask about pictures, one for each of ``originals``."""
    known = {name: index for index, name in enumerate(predictor.class_names)}
    asked = track((_png(p) for p in pictures), total=len(originals), what=f"Asking: {what}")
    notes = [noted(predictor.read(content)) for content in asked]
    answers = collected(predictor.class_names, notes)
    return Pool(
        answers.known_by(tuple(original.group for original in originals)),
        np.array([known.get(original.label, -1) for original in originals], np.int64),
    )


def _png(picture: Picture) -> bytes:
    file = io.BytesIO()
    Image.fromarray(picture).save(file, "PNG", compress_level=1)
    return file.getvalue()


def kept_in(manifest: BundleManifest) -> Path:
    """Where the answers of a bundle are kept."""
    folder = f"drift-{manifest.dataset}-{manifest.digest[:8]}"
    return get_settings().cache / "benchmarks" / folder


def pools(
    predictor: Predictor, originals: list[Original], others: list[Picture], folder: Path
) -> dict[str, Pool]:
    """Change → pool; those that stand in ``folder`` are read."""
    classes, found = predictor.class_names, {}
    strange = [Original(Path(), "none", f"other {number}") for number in range(len(others))]
    for name in (*CHANGES, "another kind"):
        file = folder / f"{name}.parquet"
        if not file.is_file():
            if name == "another kind":
                asked, pictures = strange, iter(others)
            else:
                change = CHANGES[name]
                asked = originals
                pictures = (change(decode(original.file.read_bytes())) for original in originals)
            pool_of(predictor, pictures, asked, what=name).save(file)
        found[name] = Pool.load(file, classes)
    return found

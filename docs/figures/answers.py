"""Draw what thresholds, decision curves and abstention come to, from a run's answers.

    python docs/figures/answers.py brain_mri IMAGES PREDICTIONS

IMAGES is the folder, in the cache, of the training set a candidate was judged on, PREDICTIONS its
run's ``evaluation/predictions.parquet``. Writes docs/images/answers-<dataset>-<picture>.png and
prints what was said.
"""

import argparse
import tempfile
from pathlib import Path

import pandas as pd
from PIL import Image

from pipelines.data.input.cache import read_set
from pipelines.evaluation.judging import thresholds_of
from pipelines.evidence import abstention, benefit, thresholds
from pipelines.evidence.subject import Subject
from pipelines.outputs import Prepared
from pipelines.settings import get_settings
from pipelines.spec import load_spec
from pipelines.stage import Context
from pipelines.storage import open_store

TARGET = Path(__file__).resolve().parent.parent / "images"
WIDTH = 800
NOWHERE = "not asked for"


def main() -> None:
    """Draw, and print each sentence."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("dataset")
    parser.add_argument("images", type=Path)
    parser.add_argument("predictions", type=Path)
    parser.add_argument("--target", type=Path, default=TARGET)
    chosen = parser.parse_args()
    spec, settings, data = load_spec(chosen.dataset), get_settings(), read_set(chosen.images)
    rows = pd.read_parquet(chosen.predictions)
    prepared = Prepared(
        dataset=spec.name,
        id=chosen.images.name,
        snapshot=NOWHERE,
        split=NOWHERE,
        path=NOWHERE,
        images=NOWHERE,
        rows={},
    )
    context = Context(settings=settings, store=open_store(settings))
    subject = Subject(
        spec,
        context,
        prepared,
        "on the test images",
        data,
        None,
        rows,
        temperature=1.0,
        thresholds=thresholds_of(spec, rows[rows["split"] == "validation"]),
    )
    with tempfile.TemporaryDirectory(prefix="medloop-") as folder:
        for look in (thresholds.look, benefit.look, abstention.look):
            finding = look(subject, Path(folder))
            if finding is not None:
                print(finding.title, *finding.said, *finding.warnings, sep="\n  ")
        for drawn in sorted(Path(folder).glob("*.png")):
            name = f"answers-{spec.name}-{drawn.stem}.png".replace("_", "-")
            _save_small(drawn, chosen.target / name)


def _save_small(drawn: Path, file: Path) -> None:
    picture = Image.open(drawn).convert("RGB")
    picture.thumbnail((WIDTH, WIDTH))
    picture.quantize(160).save(file, optimize=True)
    print(f"{file}: {file.stat().st_size / 1024:.0f} kB")


if __name__ == "__main__":
    main()

"""Fetch pictures of a candidate's newest evaluation for docs/evidence.md.

    .venv/bin/python docs/figures/evidence.py brain_mri lite0-finetuned reliability mistakes

Writes docs/images/evidence-<dataset>-<picture>.png, 1,000 pixels wide at most; needs MLflow up.
"""

import argparse
import tempfile
from pathlib import Path

from PIL import Image

from pipelines.errors import NotFound
from pipelines.evaluation.record import read_evaluation
from pipelines.stage import default_context
from pipelines.tracking import runs
from pipelines.tracking.client import Tracking, open_tracking

IMAGES = Path(__file__).resolve().parent.parent / "images"
WIDTH = 1000
COLOURS = 128


def main() -> None:
    """Write the pictures, and print what was found about each kind of evidence."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("dataset")
    parser.add_argument("candidate")
    parser.add_argument("pictures", nargs="+")
    asked = parser.parse_args()
    tracking = open_tracking(default_context().settings)
    run_id = _newest(tracking, asked.dataset, asked.candidate)
    with tempfile.TemporaryDirectory(prefix="medloop-") as folder:
        for name in asked.pictures:
            file = tracking.download(run_id, f"figures/{name}.png", target=Path(folder))
            slug = f"evidence-{asked.dataset}-{name}".replace("_", "-")
            target = IMAGES / f"{slug}.png"
            with Image.open(file) as picture:
                picture.thumbnail((WIDTH, 10 * WIDTH))
                picture.convert("RGB").quantize(COLOURS).save(target, optimize=True)
            print(target)


def _newest(tracking: Tracking, dataset: str, candidate: str) -> str:
    """The run of the candidate that was evaluated last."""
    with tracking.reaching() as client:
        experiment = client.get_experiment_by_name(dataset)
    if experiment is not None:
        condition = f"tags.`medloop.candidate` = '{candidate}' and tags.`{runs.TRAINED}` = 'true'"
        for run in reversed(runs.every(tracking, experiment.experiment_id, condition=condition)):
            if read_evaluation(tracking, run.info.run_id) is not None:
                return str(run.info.run_id)
    raise NotFound(f"{candidate} was not evaluated on {dataset} yet: medloop evaluate {dataset}.")


if __name__ == "__main__":
    main()

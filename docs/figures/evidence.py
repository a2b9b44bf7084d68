"""Fetch pictures of a candidate's newest evaluation for docs/evidence.md.

    .venv/bin/python docs/figures/evidence.py brain_mri lite0-finetuned reliability mistakes

Writes docs/images/evidence-<dataset>-<picture>.png, 1,000 pixels wide at most; needs MLflow up.
"""

import argparse
import tempfile
from pathlib import Path

from PIL import Image

from pipelines.errors import NotFound
from pipelines.evaluation.record import newest_evaluations
from pipelines.stage import default_context
from pipelines.tracking.client import open_tracking

IMAGES = Path(__file__).resolve().parent.parent / "images"
WIDTH = 1000
COLOURS = 128


def main() -> None:
    """Write the pictures, and print where."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("dataset")
    parser.add_argument("candidate")
    parser.add_argument("pictures", nargs="+")
    asked = parser.parse_args()
    tracking = open_tracking(default_context().settings)
    found = newest_evaluations(tracking, asked.dataset).get(asked.candidate)
    if found is None:
        raise NotFound(
            f"{asked.candidate} was not evaluated on {asked.dataset} yet: "
            f"medloop evaluate {asked.dataset}."
        )
    run_id = found[0].info.run_id
    with tempfile.TemporaryDirectory(prefix="medloop-") as folder:
        for name in asked.pictures:
            file = tracking.download(run_id, f"figures/{name}.png", target=Path(folder))
            slug = f"evidence-{asked.dataset}-{name}".replace("_", "-")
            target = IMAGES / f"{slug}.png"
            with Image.open(file) as picture:
                picture.thumbnail((WIDTH, 10 * WIDTH))
                picture.convert("RGB").quantize(COLOURS).save(target, optimize=True)
            print(target)


if __name__ == "__main__":
    main()

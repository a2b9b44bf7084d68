"""Draw docs/images/studies-<picture>.png: a search, a learning curve, folds, of one candidate.

    python docs/figures/studies.py phantom small-cnn-tuned

Asks the installation's newest training set; what stands in MLflow already is not trained again.
"""

import argparse
import tempfile
from collections.abc import Callable
from pathlib import Path

from pipelines import loop
from pipelines.settings import get_settings
from pipelines.spec import load_spec
from pipelines.tracking.client import open_tracking

TARGET = Path(__file__).resolve().parent.parent / "images"
STUDIES: dict[str, Callable[[str, str], str]] = {
    "search": lambda dataset, candidate: loop.tune(dataset, candidate).run_id,
    "learning_curve": lambda dataset, candidate: loop.learning_curve(dataset, candidate).run_id,
    "folds": lambda dataset, candidate: (
        loop.cross_validate(dataset, candidate, folds=5, repeats=2).run_id
    ),
}
"""Picture → the study that draws it, as the id of its run."""


def main() -> None:
    """Copy the pictures, and print what stands beside them."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("dataset")
    parser.add_argument("candidate")
    parser.add_argument("--only", nargs="+", choices=sorted(STUDIES), default=list(STUDIES))
    parser.add_argument("--target", type=Path, default=TARGET)
    chosen = parser.parse_args()
    tracking = open_tracking(get_settings())
    searched = load_spec(chosen.dataset).candidate(chosen.candidate).tune is not None
    for picture in chosen.only:
        if picture == "search" and not searched:
            continue
        run_id = STUDIES[picture](chosen.dataset, chosen.candidate)
        name = f"studies-{picture.replace('_', '-')}.png"
        with tempfile.TemporaryDirectory(prefix="medloop-") as folder:
            file = tracking.download(run_id, f"figures/{picture}.png", target=Path(folder))
            chosen.target.mkdir(parents=True, exist_ok=True)
            (chosen.target / name).write_bytes(file.read_bytes())
        print(tracking.client.get_run(run_id).data.tags["mlflow.note.content"], end="\n\n")


if __name__ == "__main__":
    main()

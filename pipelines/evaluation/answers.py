"""The answers of a candidate that is no network, as its run in MLflow holds them.

A logistic regression on handmade features has no Keras model that could be asked: its training
leaves what it says about the held-out images, and the evaluation reads that.
"""

import tempfile
from pathlib import Path

import pandas as pd

from pipelines.data.input.training_set import TrainingSet
from pipelines.errors import NotFound
from pipelines.evaluation.predictions import COLUMNS, described
from pipelines.outputs import SplitName
from pipelines.tracking.client import Tracking

ANSWERS = "answers/answers.parquet"
KEY = ["split", "sha256", "source_path"]


def log_answers(tracking: Tracking, run_id: str, answers: pd.DataFrame) -> None:
    """Log what a candidate says.

    Args:
        tracking: where to.
        run_id: whose answers they are.
        answers: ``split``, ``sha256``, ``source_path`` and ``logit.<class>`` for each class.
    """
    with tempfile.TemporaryDirectory(prefix="medloop-") as folder:
        file = Path(folder) / Path(ANSWERS).name
        answers.to_parquet(file, index=False)
        tracking.upload(run_id, file, folder=str(Path(ANSWERS).parent))


def has_answers(tracking: Tracking, run_id: str) -> bool:
    """Whether a run holds answers, and so no network."""
    return tracking.has_artifact(run_id, ANSWERS)


def read_answers(
    tracking: Tracking, run_id: str, data: TrainingSet, splits: tuple[SplitName, ...]
) -> pd.DataFrame:
    """What a run's candidate says about splits, as `predictions.predict` tells it of a network.

    Raises:
        NotFound: the run holds no answers, or none about some of the images.
    """
    with tempfile.TemporaryDirectory(prefix="medloop-") as folder:
        said = pd.read_parquet(tracking.download(run_id, ANSWERS, target=Path(folder)))
    images = pd.concat([described(data, split).assign(split=split) for split in splits])
    rows = ordered(images, said, data.classes)
    missed = rows[[f"logit.{name}" for name in data.classes]].isna().any(axis=1)
    if missed.any():
        raise NotFound(
            f"Run {run_id} says nothing about {int(missed.sum())} images, such as "
            f"{rows.loc[missed, 'source_path'].iloc[0]}; train its candidate again."
        )
    return rows


def ordered(images: pd.DataFrame, said: pd.DataFrame, classes: tuple[str, ...]) -> pd.DataFrame:
    """Answers in the order of the images, as `predictions.predict` gives them.

    Args:
        images: `KEY`, ``group`` and ``label`` (class name), one row an image.
        said: `KEY` and ``logit.<class>`` for each class, in any order.
        classes: their names.

    Returns:
        One row an image; the logits are null for those without an answer.
    """
    logits = [f"logit.{name}" for name in classes]
    rows = images.merge(said[[*KEY, *logits]], on=KEY, how="left", validate="one_to_one")
    return rows[["split", *COLUMNS, *logits]]

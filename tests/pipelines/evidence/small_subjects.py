"""A candidate on the small collection, without MLflow, for the tests of each kind of evidence."""

from pathlib import Path
from typing import TYPE_CHECKING

from pipelines.data.input.cache import fetch
from pipelines.evaluation.judging import thresholds_of
from pipelines.evaluation.network import Network
from pipelines.evaluation.predictions import predict, with_decisions, with_probabilities
from pipelines.evidence.subject import Subject
from pipelines.spec import DatasetSpec
from pipelines.stage import Context
from tests.pipelines.data.small_collection import Row, small_spec
from tests.pipelines.tracked import brightness_model, prepare_small

if TYPE_CHECKING:
    import keras


def small_subject(
    context: Context,
    folder: Path,
    *,
    spec: DatasetSpec | None = None,
    rows: list[Row] | None = None,
    model: "keras.Model | None" = None,
) -> Subject:
    """A candidate that was asked about the validation and test images of ``rows``.

    Args:
        context: settings and store.
        folder: where the model's file goes.
        spec: of the data set; the small collection's if ``None``.
        rows: its images; 20 of each class if ``None``.
        model: the candidate; one that is always right if ``None``.
    """
    chosen = spec or small_spec()
    prepared = prepare_small(context, chosen, rows=rows)
    data = fetch(context, prepared)
    file = folder / "model.keras"
    (model or brightness_model(size=chosen.image.size)).save(file)
    network = Network.load(file)
    answers = predict(network, data, ("validation", "test"))
    answers = with_probabilities(answers, data.classes, temperature=1)
    thresholds = thresholds_of(chosen, answers[answers["split"] == "validation"])
    answers = with_decisions(answers, data.classes, thresholds)
    return Subject(
        chosen,
        context,
        prepared,
        "one",
        data,
        network,
        answers,
        temperature=1.0,
        thresholds=thresholds,
    )

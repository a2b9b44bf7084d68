"""The small collection, and a model that tells its classes apart, in a real MLflow."""

import pytest

from pipelines.outputs import Prepared, Trained
from pipelines.settings import Settings
from pipelines.spec import DatasetSpec
from pipelines.stage import Context
from tests.pipelines.data.small_collection import images
from tests.pipelines.tracked import (
    brightness_model,
    prepare_small,
    spec_of,
    tracked_context,
    trained_as,
)

MISLABELLED = {"bright/004.png": "dark", "bright/003.png": "dark"}
"""One of the eight test images, one of the eight for validation."""


@pytest.fixture(scope="package")
def installation_with_runs(
    mlflow_server: Settings, tmp_path_factory: pytest.TempPathFactory
) -> tuple[DatasetSpec, Context, Prepared, Trained]:
    """Spec, context, training set and a candidate that is right but where a label is wrong."""
    context = tracked_context(mlflow_server, tmp_path_factory.mktemp("evaluated"))
    spec = spec_of("evaluated")
    rows = [
        row | {"label": MISLABELLED.get(row["source_path"], row["label"])} for row in images(20)
    ]
    prepared = prepare_small(context, spec, rows=rows)
    return spec, context, prepared, trained_as(context, spec, prepared, "one", brightness_model())

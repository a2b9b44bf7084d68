"""One installation with a small collection and evaluated candidates, and steps on it."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Self

import keras

from pipelines.outputs import Challenger, Evaluated, Prepared, Verdict
from pipelines.release import gate, select
from pipelines.settings import Settings
from pipelines.spec import DatasetSpec
from pipelines.stage import Context
from pipelines.tracking.client import Tracking, open_tracking
from tests.pipelines.data.small_collection import Row
from tests.pipelines.tracked import (
    brightness_model,
    evaluated_as,
    prepare_small,
    spec_of,
    tracked_context,
)


@dataclass(frozen=True)
class Installation:
    """A data set of its own on a shared MLflow."""

    spec: DatasetSpec
    context: Context
    prepared: Prepared

    @property
    def tracking(self) -> Tracking:
        return open_tracking(self.context.settings)

    @property
    def name(self) -> str:
        return self.spec.name

    def candidate(self, name: str, model: keras.Model | None = None) -> Evaluated:
        """An evaluated candidate; a perfect one if no model is given."""
        chosen = model or brightness_model()
        return evaluated_as(self.context, self.spec, self.prepared, name, chosen)

    def select(self, *evaluated: Evaluated) -> Challenger:
        """The selection stage."""
        return select.run(self.spec, self.context, self.prepared, list(evaluated))

    def named(self, name: str) -> Self:
        """A data set of another name on the same training set: its registered model is its own, and
        what was evaluated here can be its candidates."""
        return replace(self, spec=self.spec.model_copy(update={"name": name}))

    def version(self, title: str, evaluated: Evaluated) -> Challenger:
        """The selection stage, with a title of the bundle's own: it makes a new version of a
        candidate that other versions are made of too."""
        spec = self.spec.model_copy(update={"title": f"{self.name}: {title}"})
        return select.run(spec, self.context, self.prepared, [evaluated])

    def judge(self, challenger: Challenger, **limits: Any) -> Verdict:
        """The gate, with limits of the spec changed."""
        changed = self.spec.model_dump(mode="json")
        changed["gate"] |= limits
        spec = DatasetSpec.model_validate(changed)
        return gate.run(spec, self.context, self.prepared, challenger)


def install(
    server: Settings,
    folder: Path,
    name: str,
    *,
    rows: list[Row] | None = None,
    spec: DatasetSpec | None = None,
    **fields: Any,
) -> Installation:
    """An installation with a training set, and no candidate yet; of the small collection's spec,
    unless another is given."""
    context = tracked_context(server, folder, **fields)
    spec = spec or spec_of(name)
    return Installation(spec, context, prepare_small(context, spec, rows=rows))

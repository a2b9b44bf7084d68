"""A trained candidate and the images it is judged on, as every kind of evidence sees them."""

from dataclasses import dataclass, fields
from functools import cached_property

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from pipelines.data import revisions
from pipelines.data.input.training_set import TrainingSet
from pipelines.data.rows import File, Original
from pipelines.evaluation.calibration import softmax
from pipelines.evaluation.decisions import Decisions
from pipelines.evaluation.network import Network
from pipelines.evaluation.operating_point import Thresholds
from pipelines.evaluation.predictions import decisions_of, labels_of, probabilities_of
from pipelines.outputs import Prepared, Snapshot, SplitName
from pipelines.spec import DatasetSpec
from pipelines.stage import Context

METADATA = "metadata."
"""What the names of the columns begin with that the collection itself has of an image."""


class NoNetwork(Exception):
    """Something asks for the network of a candidate that has none: it does not apply to it."""


@dataclass(frozen=True)
class Subject:
    """What is judged.

    Args:
        spec: of the data set.
        context: settings and store.
        prepared: the training set it was trained on.
        candidate: its name.
        data: the same, on this machine.
        network: its network; ``None`` for a candidate that is none.
        rows: its answers to the validation and test images, in file order of each split: the
            columns of `pipelines.evaluation.predictions.predict` with calibrated probabilities.
        temperature: by which they are calibrated.
        thresholds: by which the service decides; the likeliest class if ``None``.
    """

    spec: DatasetSpec
    context: Context
    prepared: Prepared
    candidate: str
    data: TrainingSet
    network: Network | None
    rows: pd.DataFrame
    temperature: float
    thresholds: Thresholds | None

    @property
    def classes(self) -> tuple[str, ...]:
        """In the order of the model's outputs."""
        return self.data.classes

    @property
    def seed(self) -> int:
        """Of everything that is drawn by chance."""
        return self.spec.split.seed

    @property
    def title(self) -> str:
        """What pictures are headed with."""
        return f"{self.spec.title}: {self.candidate}"

    def of(self, split: SplitName) -> pd.DataFrame:
        """What was said about a split, in file order, numbered from 0."""
        return self.rows[self.rows["split"] == split].reset_index(drop=True)

    def labels(self, split: SplitName) -> NDArray[np.int64]:
        """(n,) index of the true class of each image of a split."""
        return labels_of(self.of(split), self.classes)

    def sources(self, split: SplitName) -> NDArray[np.int32]:
        """(n,) source cluster of each image of a split, from 1; 0 where unknown."""
        found: NDArray[np.int32] = self.data.split(split).column("source")
        return found

    def probabilities(self, split: SplitName) -> NDArray[np.float64]:
        """(n, classes) calibrated answers on a split."""
        return probabilities_of(self.of(split), self.classes)

    def answers(self, split: SplitName) -> Decisions:
        """The answers on a split, in file order, as the service would give them. It abstains here
        for low certainty alone: how novel an image is, the bundle knows first."""
        return decisions_of(
            self.of(split),
            self.classes,
            self.thresholds,
            min_certainty=self.spec.abstention.min_confidence,
        )

    def decide(self, logits: NDArray[np.floating]) -> Decisions:
        """The answers that (n, classes) logits of the network come to."""
        return Decisions.by_thresholds(
            softmax(logits, self.temperature),
            self.classes,
            self.thresholds,
            min_certainty=self.spec.abstention.min_confidence,
        )

    @property
    def required_network(self) -> Network:
        """The network.

        Raises:
            NoNetwork: it has none; `gather` then leaves the kind of evidence out.
        """
        if self.network is None:
            raise NoNetwork(f"{self.candidate} is not a network")
        return self.network

    @property
    def snapshot(self) -> Snapshot:
        """The snapshot that the images were prepared from.

        Raises:
            NotFound: it is gone.
            StoreUnavailable: the store does not answer.
        """
        return revisions.at(self.context, self.prepared.snapshot)

    @cached_property
    def facts(self) -> pd.DataFrame:
        """What is known of every image of the snapshot besides its pixels.

        Indexed by (``sha256``, ``source_path``): the columns of `File` and `Original`, with
        ``metadata.<field>`` (strings) for each field the collection's table has.

        Raises:
            NotFound: the snapshot is gone.
            StoreUnavailable: the store does not answer.
        """
        names = [field.name for row in (File, Original) for field in fields(row)]
        rows = revisions.files(self.context, self.snapshot, names).to_pandas()
        told = pd.DataFrame([dict(listed) for listed in rows["metadata"]])
        described: pd.DataFrame = rows.drop(columns="metadata").join(told.add_prefix(METADATA))
        return described.drop_duplicates(["sha256", "source_path"]).set_index(
            ["sha256", "source_path"]
        )

    def facts_of(self, split: SplitName) -> pd.DataFrame:
        """The facts of a split's images with their ``source``, in file order, numbered from 0."""
        rows = self.of(split)
        keys = pd.MultiIndex.from_frame(rows[["sha256", "source_path"]])
        source = pd.Series(self.sources(split))
        facts = self.facts.reindex(keys).reset_index(drop=True)
        return facts.assign(source=source.where(source > 0))

"""A data set with a tiny champion on a real MLflow, whose traffic and landings a test makes."""

import io
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from PIL import Image

from pipelines.data.packing import PACKED
from pipelines.monitoring import monitor
from pipelines.monitoring.ask import noted
from pipelines.monitoring.samples import Model, Sample
from pipelines.monitoring.served import write_file
from pipelines.monitoring.state import State, state_of
from pipelines.outputs import Monitored, Snapshot
from pipelines.release.predictor import Predictor, open_predictor
from pipelines.settings import Settings
from pipelines.spec import DatasetSpec
from pipelines.stage import Context
from pipelines.tracking import versions
from pipelines.tracking.client import open_tracking
from tests.pipelines.data.recorded import record, record_split
from tests.pipelines.data.small_collection import small_spec
from tests.pipelines.monitoring.samples import NOON
from tests.pipelines.tracked import tracked_context
from tests.serving.bundles import CLASSES, encoded, make_bundle

DAY = date(2026, 3, 1)
WINDOW = 50
HELD_OUT = 100


def picture(number: int, *, shade: float = 1.0) -> bytes:
    """A PNG of coarse noise; darker with a smaller shade."""
    coarse = np.random.default_rng(number).integers(0, 256, (4, 4, 3), np.uint8)
    pixels = np.asarray(Image.fromarray(coarse).resize((60 + number % 5, 40)), np.float32)
    return encoded((pixels * shade).astype(np.uint8), "PNG")


@dataclass
class Watched:
    """A data set of its own."""

    spec: DatasetSpec
    context: Context
    bundles: Path
    """A folder."""
    model: Model = field(init=False)
    predictor: Predictor = field(init=False)
    rows: list[dict[str, Any]] = field(default_factory=list)
    """Of the newest snapshot's index."""

    @property
    def name(self) -> str:
        return self.spec.name

    def promote(self, *, seed: int = 0) -> int:
        """Make a tiny bundle the champion; another seed answers differently."""
        tracking = open_tracking(self.context.settings)
        experiment = tracking.experiment(self.name, title=self.name)
        run = str(tracking.client.create_run(experiment).info.run_id)
        folder = make_bundle(self.bundles / run, dataset=self.name, seed=seed, run_id=run)
        tracking.upload(run, folder, folder="bundles/x")
        version = versions.register(
            tracking, self.name, run_id=run, artifact="bundles/x", about="", tags={}
        ).version
        versions.set_alias(tracking, self.name, "champion", version=version)
        self.model = Model(self.name, version, run, CLASSES)
        cache = self.context.settings.cache
        self.predictor = open_predictor(folder, "openvino", cache=cache, threads=1)
        return version

    def serve(
        self, numbers: Iterable[int], *, shade: float = 1.0, minutes: float = 0
    ) -> list[Sample]:
        """Let the champion answer, and keep a file of samples."""
        time = NOON + timedelta(minutes=minutes)
        samples = [self._answer(number, shade, time) for number in numbers]
        write_file(self.context.store, samples)
        return samples

    def _answer(self, number: int, shade: float, time: datetime) -> Sample:
        reading = self.predictor.read(picture(number, shade=shade))
        note = noted(reading)
        mean, std, width, height = note.picture
        return Sample(
            request_id=f"{number:016x}",
            time=time,
            model=self.model,
            predicted=CLASSES[note.predicted],
            abstained=note.abstained,
            probabilities=note.probabilities,
            features=note.features,
            mean=mean,
            std=std,
            width=width,
            height=height,
            sha256=reading.sha256,
        )

    def land(self, numbers: Iterable[int], *, snapshot: str, shade: float = 1.0) -> None:
        """Add a snapshot; each picture's label is what the champion says of it."""
        path = f"{self.name}/snapshots/{snapshot}"
        contents = [picture(number, shade=shade) for number in numbers]
        added = [
            {**self._row(content), "file": f"{path}/images-00000.parquet", "row": row}
            for row, content in enumerate(contents)
        ]
        packed = [{**row, "content": c} for row, c in zip(added, contents, strict=True)]
        file = io.BytesIO()
        pq.write_table(pa.Table.from_pylist(packed, schema=PACKED), file)
        self.context.store.write(f"{path}/images-00000.parquet", file.getvalue())
        self.rows += added
        output = Snapshot(
            dataset=self.name,
            id=snapshot,
            path=path,
            images=len(self.rows),
            added=len(added),
            parent=None,
            quarantine=None,
        )
        record(self.context, output, self.rows)

    def _row(self, content: bytes) -> dict[str, Any]:
        reading = self.predictor.read(content)
        mean, std, width, height = noted(reading).picture
        return {
            "source_path": f"{reading.sha256[:16]}.png",
            "label": CLASSES[reading.best],
            "sha256": reading.sha256,
            "format": "PNG",
            "mean": mean,
            "std": std,
            "width": width,
            "height": height,
        }

    def monitor(self, *, today: date = DAY) -> Monitored:
        """A run of the monitor."""
        return monitor.run(self.spec, self.context, today=today)

    def state(self) -> State:
        """What it knows."""
        found = state_of(self.context.store, self.name)
        assert found
        return found


def watched(server: Settings, folder: Path, name: str, **changes: Any) -> Watched:
    """A data set with a champion that was judged by held-out pictures.

    Args:
        server: of MLflow, which is shared: the name is the test's own.
        folder: for home and store.
        name: of the data set.
        changes: of the spec.
    """
    spec = small_spec(
        name=name,
        classes=[{"name": c, "title": c.title()} for c in CLASSES],
        **{"monitor": {"window": WINDOW}, "gate": {"minimum": {"accuracy": 0.5}}} | changes,
    )
    made = Watched(spec, tracked_context(server, folder), folder / "bundles")
    made.promote()
    made.land(range(HELD_OUT), snapshot="0001-aa")
    split = [{**row, "group": row["sha256"], "split": "test"} for row in made.rows]
    record_split(made.context, f"{name}/splits/bb", split)
    return made

"""The artifacts of a run or of a logged model, to look into and to change.

`Tracking` reads and adds artifacts of runs; an erasure also has to delete them, and those of
MLflow's logged models, which belong to no run's folder.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipelines.tracking.client import Tracking

if TYPE_CHECKING:
    from mlflow.entities import Run


@dataclass(frozen=True)
class Artifacts:
    """The artifacts below one URI."""

    tracking: Tracking
    uri: str

    def files(self, folder: str | None = None) -> Iterator[str]:
        """Paths of all files, depth first.

        Raises:
            TrackingUnavailable: MLflow does not answer.
        """
        with self.tracking.reaching():
            listed = self._repository.list_artifacts(folder)
        for one in listed:
            if one.is_dir:
                yield from self.files(one.path)
            else:
                yield one.path

    def download(self, path: str, target: Path) -> Path:
        """Fetch a file or folder into a local folder; its local path."""
        with self.tracking.reaching():
            return Path(self._repository.download_artifacts(path, str(target)))

    def upload(self, local: Path, path: str) -> None:
        """Put a local file in the place of one, or add it."""
        folder = path.rpartition("/")[0]
        assert local.name == path.rpartition("/")[2], local
        with self.tracking.reaching():
            self._repository.log_artifact(str(local), folder or None)

    def delete(self, path: str) -> None:
        """Delete a file."""
        with self.tracking.reaching():
            self._repository.delete_artifacts(path)

    @property
    def _repository(self) -> Any:
        from mlflow.store.artifact.artifact_repository_registry import get_artifact_repository

        return get_artifact_repository(self.uri, tracking_uri=self.tracking.uri)


def experiments(tracking: Tracking, dataset: str) -> list[str]:
    """IDs of a data set's experiments, deleted ones too: ``<dataset>``, ``<dataset>-data`` …"""
    from mlflow.entities import ViewType

    with tracking.reaching() as client:
        known = client.search_experiments(view_type=ViewType.ALL)
    begins = (f"{dataset}-", f"{dataset}.")
    ours = (one for one in known if one.name == dataset or one.name.startswith(begins))
    return [str(one.experiment_id) for one in ours]


def of_models(tracking: Tracking, experiment: str, runs: "list[Run]") -> Iterator[tuple[str, str]]:
    """Run and URI of each logged model of an experiment's runs.

    Args:
        tracking: where they are.
        experiment: its id.
        runs: its runs.
    """
    known = {run.info.run_id for run in runs}
    token: str | None = ""
    while token is not None:
        with tracking.reaching() as client:
            page = client.search_logged_models([experiment], page_token=token or None)
        for model in page:
            if model.source_run_id in known:
                yield str(model.source_run_id), str(model.artifact_location)
        token = page.token or None

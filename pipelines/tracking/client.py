"""The connection to MLflow: quiet, with our errors, and the artifacts of runs."""

import json
import logging
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import requests

from pipelines.errors import MedloopError, NotFound, SettingsError, TrackingUnavailable
from pipelines.healing import TEMPORARY
from pipelines.settings import Settings
from pipelines.tracking.login import log_in, login_file

if TYPE_CHECKING:
    from mlflow import MlflowClient

PASSING = (408, 425, 429)
"""Statuses of 4xx after which trying again can help."""

QUIET = {
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
    "MLFLOW_DISABLE_TELEMETRY": "true",
    # The client's own default waits for minutes; the scheduler retries the whole task anyway.
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "3",
    "MLFLOW_HTTP_REQUEST_BACKOFF_FACTOR": "1",
    "MLFLOW_SYSTEM_METRICS_SAMPLING_INTERVAL": "5",
}


TRAINING_VIEW = {"mlflow.experimentKind": "custom_model_development"}
"""Lets MLflow's pages open with runs and metrics, not with traces of language models."""


class Tracking:
    """MLflow, as this installation reaches it.

    Args:
        uri: URL of the tracking server.
        login: the file of our login; nobody is asked for one where it is not there.
    """

    def __init__(self, uri: str, login: Path | None = None) -> None:
        self.uri = uri
        self._login = login

    @cached_property
    def client(self) -> "MlflowClient":
        """The client; also makes this server the default of MLflow's own functions."""
        for name, value in QUIET.items():
            os.environ.setdefault(name, value)
        import mlflow

        logging.getLogger("mlflow").setLevel(logging.ERROR)
        mlflow.set_tracking_uri(self.uri)
        return mlflow.MlflowClient(self.uri)

    @contextmanager
    def reaching(self) -> Iterator["MlflowClient"]:
        """Yield the client; turn a server that is away into ours.

        Raises:
            TrackingUnavailable: it does not answer, or answers that it cannot now.
            SettingsError: it lets us in with no login, or not with ours.
        """
        from mlflow.exceptions import MlflowException

        if self._login:
            log_in(self._login)
        try:
            yield self.client
        except requests.RequestException as error:
            status = error.response.status_code if error.response is not None else None
            if status == requests.codes.unauthorized:
                raise self._refused() from error
            if status is not None and 400 <= status < 500 and status not in PASSING:
                raise self._rejected(status, error) from error
            raise self._away(error) from error
        except MlflowException as error:
            if error.get_http_status_code() == requests.codes.unauthorized:
                raise self._refused() from error
            if is_missing(error) or error.error_code not in TEMPORARY:
                raise
            raise self._away(error) from error

    def _refused(self) -> SettingsError:
        return SettingsError(
            f"MLflow at {self.uri} asks for a login, and {self._login} holds none that it takes. "
            "For an MLflow elsewhere, name a file with one: MEDLOOP_MLFLOW_LOGIN_FILE=…"
        )

    def _rejected(self, status: int, error: Exception) -> MedloopError:
        kind = NotFound if status == requests.codes.not_found else MedloopError
        return kind(f"MLflow at {self.uri} refuses a request: {_first_line(error)}")

    def _away(self, error: Exception) -> TrackingUnavailable:
        return TrackingUnavailable(
            f"MLflow does not answer at {self.uri} ({_first_line(error)}). "
            "Is the stack up (medloop stack status)?"
        )

    def experiment(self, name: str, *, title: str, about: str = "Candidates") -> str:
        """Id of an experiment, made if it is not there.

        Args:
            name: the data set's, for its candidates.
            title: of the data set.
            about: what of it the experiment holds.
        """
        from mlflow.exceptions import MlflowException

        with self.reaching() as client:
            found = client.get_experiment_by_name(name)
            if found is None:
                try:
                    tags = {"mlflow.note.content": f"{about} for {title}.", **TRAINING_VIEW}
                    return str(client.create_experiment(name, tags=tags))
                except MlflowException as error:
                    if error.error_code != "RESOURCE_ALREADY_EXISTS":
                        raise
                    found = client.get_experiment_by_name(name)
            elif found.lifecycle_stage == "deleted":
                client.restore_experiment(found.experiment_id)
            return str(found.experiment_id)

    def artifacts(self, run_id: str, folder: str = "") -> list[str]:
        """Paths of a run's artifacts directly below ``folder``."""
        with self.reaching() as client:
            return [file.path for file in client.list_artifacts(run_id, folder or None)]

    def has_artifact(self, run_id: str, path: str) -> bool:
        """Whether a run has an artifact, file or folder, at ``path``."""
        return path in self.artifacts(run_id, path.rpartition("/")[0])

    def upload(self, run_id: str, local: Path, *, folder: str = "") -> None:
        """Log a file, or a whole folder's content, below ``folder`` of a run's artifacts."""
        with self.reaching() as client:
            log = client.log_artifacts if local.is_dir() else client.log_artifact
            log(run_id, str(local), folder or None)

    def upload_json(self, run_id: str, path: str, value: Any) -> None:
        """Log a JSON artifact, the same bytes for the same value."""
        text = json.dumps(value, indent=2, sort_keys=True, ensure_ascii=False, allow_nan=False)
        self.upload_text(run_id, path, text + "\n")

    def upload_text(self, run_id: str, path: str, text: str) -> None:
        """Log a text artifact."""
        with self.reaching() as client:
            client.log_text(run_id, text, path)

    def download(self, run_id: str, path: str, *, target: Path) -> Path:
        """Fetch an artifact, file or folder, into the folder ``target``; its local path.

        Raises:
            NotFound: the run has no such artifact.
        """
        import mlflow

        if not self.has_artifact(run_id, path):
            raise NotFound(f"Run {run_id} in MLflow at {self.uri} has no artifact {path}.")
        target.mkdir(parents=True, exist_ok=True)
        with self.reaching():
            local = mlflow.artifacts.download_artifacts(
                run_id=run_id, artifact_path=path, dst_path=str(target), tracking_uri=self.uri
            )
        return Path(local)

    def read_json(self, run_id: str, path: str) -> Any:
        """The content of a JSON artifact.

        Raises:
            NotFound: the run has no such artifact.
        """
        with tempfile.TemporaryDirectory(prefix="medloop-") as folder:
            return json.loads(self.download(run_id, path, target=Path(folder)).read_bytes())


def _first_line(error: Exception) -> str:
    return next(iter(str(error).splitlines()), type(error).__name__)[:200]


def is_missing(error: Exception) -> bool:
    """Whether an error of MLflow says that something does not exist."""
    return getattr(error, "error_code", None) == "RESOURCE_DOES_NOT_EXIST"


def open_tracking(settings: Settings) -> Tracking:
    """MLflow of an installation; asks nothing yet."""
    return Tracking(settings.tracking_uri, login_file(settings))

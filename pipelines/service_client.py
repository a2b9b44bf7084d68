"""A small client of the prediction service, for the commands that ask it."""

import ssl
from pathlib import Path
from typing import Any

import httpx

from pipelines.access.own import kept_own_token
from pipelines.errors import MedloopError, SettingsError, Unavailable
from pipelines.settings import Settings


class ServiceClient:
    """Asks the service of an installation, with the installation's own token if it has one.

    Args:
        settings: say where it answers and whose certificate to trust.

    Raises:
        SettingsError: the file of trusted certificates cannot be used.
    """

    def __init__(self, settings: Settings) -> None:
        self.url = settings.service
        self._http = httpx.Client(
            base_url=self.url,
            timeout=60,
            trust_env=False,
            verify=trusted(settings.service_ca),
            headers=bearer(settings.home),
        )

    def predict(self, image: Path, *, dataset: str) -> dict[str, Any]:
        """The JSON answer of ``/predict``.

        Raises:
            Unavailable: nobody answers, or there is no champion yet.
            MedloopError: the service refuses the image; the message says why.
        """
        answer: dict[str, Any] = self._post("/predict", image, {"dataset": dataset}).json()
        return answer

    def gradcam(self, image: Path, *, dataset: str, target: str | None = None) -> bytes:
        """The PNG answer of ``/gradcam``; errors as for `predict`."""
        fields = {"dataset": dataset} | ({"target": target} if target else {})
        return self._post("/gradcam", image, fields).content

    def versions(self) -> dict[str, int]:
        """Data set → version in service, where all workers of the service agree on one.

        Raises:
            Unavailable: nobody answers.
        """
        workers = self._send("GET", "/model").json()["workers"]
        first, *others = [
            {model["dataset"]: model["model_version"] for model in worker["models"]}
            for worker in workers
        ]
        return {
            dataset: version
            for dataset, version in first.items()
            if all(other.get(dataset) == version for other in others)
        }

    def _post(self, path: str, image: Path, fields: dict[str, str]) -> httpx.Response:
        files = {"image": (image.name, image.read_bytes())}
        return self._send("POST", path, data=fields, files=files)

    def _send(self, method: str, path: str, **body: Any) -> httpx.Response:
        try:
            response = self._http.request(method, path, **body)
        except httpx.TransportError as error:
            raise Unavailable(
                f"The service does not answer at {self.url} ({error}); is the stack up "
                "(medloop stack status)?"
            ) from error
        if response.status_code == httpx.codes.SERVICE_UNAVAILABLE:
            raise Unavailable(f"The service at {self.url}: {response.text}")
        if response.is_error:
            raise MedloopError(
                f"The service refused {path} ({response.status_code}): {response.text}"
            )
        return response


def bearer(home: Path) -> dict[str, str]:
    """The header by which an installation's own token opens its service; none if it has none."""
    token = kept_own_token(home)
    return {"Authorization": f"Bearer {token}"} if token else {}


def trusted(ca: Path | None) -> ssl.SSLContext | bool:
    """Whose certificates are trusted: those of a file, or the system's.

    Raises:
        SettingsError: the file cannot be used.
    """
    if ca is None:
        return True
    try:
        return ssl.create_default_context(cafile=ca)
    except (OSError, ssl.SSLError) as error:
        raise SettingsError(
            f"MEDLOOP_SERVICE_CA={ca} is no file of certificates (PEM): {error}."
        ) from error

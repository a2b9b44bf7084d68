"""A small client of the prediction service, for the commands that ask it."""

from pathlib import Path
from typing import Any

import httpx

from pipelines.errors import MedloopError, Unavailable


class ServiceClient:
    """Asks one running service.

    Args:
        url: where it answers, such as ``http://127.0.0.1:3000``.
    """

    def __init__(self, url: str) -> None:
        self.url = url
        self._http = httpx.Client(base_url=url, timeout=60, trust_env=False)

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

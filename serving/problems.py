"""Why a request cannot be answered."""

from collections.abc import Mapping

from pipelines.errors import MedloopError


class Problem(MedloopError):
    """A request that cannot be answered.

    Args:
        status: HTTP status.
        code: a short, stable word that programs can act on.
        message: what is wrong and what to do, for a person.
        headers: HTTP headers that the refusal carries.
    """

    def __init__(
        self, status: int, code: str, message: str, *, headers: Mapping[str, str] | None = None
    ) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.headers = headers or {}

"""Why a request cannot be answered."""

from pipelines.errors import MedloopError


class Problem(MedloopError):
    """A request that cannot be answered.

    Args:
        status: HTTP status.
        code: a short, stable word that programs can act on.
        message: what is wrong and what to do, for a person.
    """

    def __init__(self, status: int, code: str, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.code = code

"""Errors that nobody expected of one file: it is refused, and the log shows where they came from.

An error's words may quote what the file holds, a patient's name among it, so they are left out.
"""

import logging
import traceback
from collections.abc import Iterator
from contextlib import contextmanager

from pipelines.errors import BadImage, MedloopError

MOST_CAUSES = 10


class RaisedElsewhere(Exception):
    """The cause of an error that was raised in another process.

    Args:
        frames: where, as `frames_of` says it.
    """

    def __init__(self, frames: str) -> None:
        super().__init__("in another process")
        self.frames = frames


def frames_of(error: BaseException) -> str:
    """The traceback of an error and of its causes, with their types and without their messages."""
    parts: list[str] = []
    following: BaseException | None = error
    while following is not None and len(parts) < MOST_CAUSES:
        lines = "".join(traceback.format_tb(following.__traceback__))
        lines += following.frames if isinstance(following, RaisedElsewhere) else ""
        parts.append(f"{lines}{type(following).__module__}.{type(following).__qualname__}")
        following = following.__cause__ or following.__context__
    return "\nwhile or because of:\n".join(parts)


def refusal(error: Exception) -> BadImage:
    """The refusal of a file with which an unexpected error occurred."""
    if isinstance(error, MemoryError):
        return BadImage(
            "out_of_memory",
            "Opening the file takes more memory than one file may. Save the image in a simpler "
            "format (PNG), or lower limits.max_megapixels in the spec.",
        )
    return BadImage(
        "unexpected_error",
        f"Opening the file raised an unexpected {type(error).__name__}; the log shows where. "
        "This is a fault of Medloop; please report it. Other files are not affected.",
    )


@contextmanager
def only_this_image(logger: logging.Logger, name: str = "one image") -> Iterator[None]:
    """Turn an unexpected error of the block into the refusal of one file, and log where it was
    raised. Errors of ours (`MedloopError`) pass.

    Args:
        logger: where to.
        name: what the file is called in the log.

    Raises:
        BadImage: ``unexpected_error`` or ``out_of_memory``.
    """
    try:
        yield
    except MedloopError:
        raise
    except Exception as error:
        refused = refusal(error)
        logger.error("%s: %s\n%s", name, refused, frames_of(error))
        raise refused from error

"""What every step begins with."""

from collections.abc import Callable
from functools import wraps
from typing import Concatenate, ParamSpec, TypeVar

from pipelines import erasing
from pipelines.settings import get_settings
from pipelines.spec import DatasetSpec, load_spec
from pipelines.stage import Context, default_context

P = ParamSpec("P")
R = TypeVar("R")


def opened(dataset: str, *, fresh: str | None = None) -> tuple[DatasetSpec, Context]:
    """The spec of a data set, and this installation's context; see `Context.fresh`."""
    return load_spec(dataset), default_context(fresh=fresh)


def step(function: Callable[Concatenate[str, P], R]) -> Callable[Concatenate[str, P], R]:
    """A function that reads or writes images of a data set: it waits while some are erased.

    Raises:
        Unavailable: an erasure of the data set was cut short, and must be finished first.
    """

    @wraps(function)
    def run(dataset: str, /, *args: P.args, **kwargs: P.kwargs) -> R:
        with erasing.step(get_settings(), dataset):
            return function(dataset, *args, **kwargs)

    return run

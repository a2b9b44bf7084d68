"""What every step begins with."""

from pipelines.spec import DatasetSpec, load_spec
from pipelines.stage import Context, default_context


def opened(dataset: str, *, fresh: str | None = None) -> tuple[DatasetSpec, Context]:
    """The spec of a data set, and this installation's context; see `Context.fresh`."""
    return load_spec(dataset), default_context(fresh=fresh)

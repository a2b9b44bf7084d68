"""An installation that belongs to a benchmark: whatever it lands and trains stays out of yours."""

from pipelines.settings import get_settings
from pipelines.stage import Context
from pipelines.storage import open_store


def own_installation(name: str) -> Context:
    """Settings and a store below ``$MEDLOOP_HOME/cache/benchmarks/<name>``, kept between calls."""
    home = get_settings().cache / "benchmarks" / name
    settings = get_settings().model_copy(update={"home": home, "store": home.as_uri()})
    return Context(settings=settings, store=open_store(settings))

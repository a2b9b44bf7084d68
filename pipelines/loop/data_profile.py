"""What the prepared images look like: drawn beside the training, kept for comparison."""

from pathlib import Path

from pydantic import validate_call

from pipelines.loop.opening import opened, step
from pipelines.loop.studies import latest_prepared
from pipelines.outputs import DataProfile, Prepared


@validate_call
@step
def profile_data(dataset: str, prepared: Prepared) -> DataProfile:
    """Draw what the prepared images look like, class by class, and log it."""
    from pipelines.profile import look
    from pipelines.profile.publish import publish

    spec, context = opened(dataset)
    return publish(spec, context, look.run(spec, context, prepared))


@step
def profile_page(dataset: str) -> Path:
    """A local copy of the page that profiles the newest training set; made if it is not there."""
    from pipelines.profile import look

    spec, context = opened(dataset)
    profile = look.run(spec, context, latest_prepared(dataset))
    page = context.settings.home / "reports" / f"{dataset}-images.html"
    context.store.download(f"{profile.path}/{look.REPORT}", page)
    return page

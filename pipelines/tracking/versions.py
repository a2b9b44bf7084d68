"""Versions and aliases of a data set's registered model.

An alias names one version: ``champion`` serves, ``challenger`` wants to, ``previous`` served
before. A version's tag ``medloop.bundle`` is the fingerprint of the bundle it is;
``medloop.snapshot`` the store path of the images it was made from, ``medloop.split`` that of
their split;
``medloop.verdict`` is the gate's last decision, ``medloop.compared_with`` the champion it was
compared with, ``medloop.best_champion`` the best champion so far, ``medloop.refused`` why it was
refused, ``medloop.promoted`` when it last became the champion (UTC), ``medloop.approval`` what a
person answered, and ``medloop.rejected`` the same where it was no; ``medloop.rolled_back`` why it
was rolled back automatically, and ``medloop.restored`` the same on the version that serves again.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from pipelines.errors import NotFound
from pipelines.tracking.client import Tracking, is_missing

if TYPE_CHECKING:
    from mlflow.entities.model_registry import ModelVersion

Alias = Literal["champion", "challenger", "previous"]
BUNDLE = "bundle"
BUNDLE_TAG = "medloop.bundle"
CANDIDATE_TAG = "medloop.candidate"
SNAPSHOT_TAG = "medloop.snapshot"
SPLIT_TAG = "medloop.split"
VERDICT_TAG = "medloop.verdict"
COMPARED_TAG = "medloop.compared_with"
NO_CHAMPION = "no champion"
"""Value of `COMPARED_TAG` where nothing served."""
BEST_TAG = "medloop.best_champion"
PROMOTED_TAG = "medloop.promoted"
REFUSED_TAG = "medloop.refused"
APPROVAL_TAG = "medloop.approval"
REJECTED_TAG = "medloop.rejected"
ROLLED_BACK_TAG = "medloop.rolled_back"
RESTORED_TAG = "medloop.restored"
WATCHED_TAG = "medloop.watched"
"""What watching a version after its promotion found, where it was not rolled back."""


@dataclass(frozen=True)
class Registered:
    """A version of a data set's registered model."""

    dataset: str
    version: int
    run_id: str
    candidate: str
    bundle: str
    """Artifact path of its inference bundle in the run."""
    tags: Mapping[str, str]


def holder(tracking: Tracking, dataset: str, alias: Alias) -> Registered | None:
    """The version that an alias names; ``None`` if there is none."""
    from mlflow.exceptions import MlflowException

    with tracking.reaching() as client:
        try:
            return _registered(client.get_model_version_by_alias(dataset, alias))
        except MlflowException as error:
            # MLflow says INVALID_PARAMETER_VALUE where the model is known but not the alias.
            if is_missing(error) or error.error_code == "INVALID_PARAMETER_VALUE":
                return None
            raise


def last_promoted(tracking: Tracking, dataset: str) -> Registered | None:
    """The version that became the champion last, of those there still are; ``None`` if none did.

    Where somebody removed the champion's alias by hand, this is what served until then.
    """
    promoted = [one for one in every(tracking, dataset) if PROMOTED_TAG in one.tags]
    newest_last = sorted(promoted, key=lambda one: one.tags[PROMOTED_TAG])
    return newest_last[-1] if newest_last else None


def named(tracking: Tracking, dataset: str, version: int) -> Registered:
    """A version by its number.

    Raises:
        NotFound: there is no such version; the message lists those there are.
    """
    versions = every(tracking, dataset)
    for found in versions:
        if found.version == version:
            return found
    known = ", ".join(str(found.version) for found in versions) or "none yet"
    raise NotFound(f"{dataset} has no version {version} in MLflow; versions: {known}.")


def every(tracking: Tracking, dataset: str) -> list[Registered]:
    """All versions, the newest first."""
    found: list[ModelVersion] = []
    token: str | None = ""
    with tracking.reaching() as client:
        while token is not None:
            page = client.search_model_versions(
                f"name = '{dataset}'", max_results=1000, page_token=token or None
            )
            found += page
            token = page.token or None
    return sorted(map(_registered, found), key=lambda version: -version.version)


def register(
    tracking: Tracking,
    dataset: str,
    *,
    run_id: str,
    artifact: str,
    about: str,
    tags: dict[str, str],
) -> Registered:
    """Make a version of a bundle that stands among a run's artifacts.

    Args:
        tracking: where to.
        dataset: the registered model's name; made if it is not there.
        run_id: the run.
        artifact: path of the bundle's folder among the run's artifacts.
        about: text for the version's page, Markdown.
        tags: tags of the version.
    """
    with tracking.reaching() as client:
        _ensure_model(tracking, dataset)
        version = client.create_model_version(
            dataset, f"runs:/{run_id}/{artifact}", run_id=run_id, tags=tags, description=about
        )
    return _registered(version)


def describe(tracking: Tracking, dataset: str, version: int, *, about: str) -> None:
    """Put a text on a version's page.

    Args:
        tracking: where to.
        dataset: the registered model's name.
        version: which.
        about: Markdown.
    """
    with tracking.reaching() as client:
        client.update_model_version(dataset, str(version), description=about)


def set_alias(tracking: Tracking, dataset: str, alias: Alias, *, version: int) -> None:
    """Let an alias name a version; it leaves the one it named."""
    with tracking.reaching() as client:
        client.set_registered_model_alias(dataset, alias, str(version))


def delete_alias(tracking: Tracking, dataset: str, alias: Alias) -> None:
    """Let an alias name nothing."""
    with tracking.reaching() as client:
        client.delete_registered_model_alias(dataset, alias)


def tag(tracking: Tracking, dataset: str, version: int, *, tags: Mapping[str, Any]) -> None:
    """Set tags of a version."""
    with tracking.reaching() as client:
        for key, value in tags.items():
            client.set_model_version_tag(dataset, str(version), key, str(value))


def untag(tracking: Tracking, dataset: str, version: int, *, names: Iterable[str]) -> None:
    """Delete tags of a version."""
    with tracking.reaching() as client:
        for name in names:
            client.delete_model_version_tag(dataset, str(version), name)


def _ensure_model(tracking: Tracking, dataset: str) -> None:
    from mlflow.exceptions import MlflowException

    try:
        tracking.client.create_registered_model(dataset)
    except MlflowException as error:
        if error.error_code != "RESOURCE_ALREADY_EXISTS":
            raise


def _registered(version: "ModelVersion") -> Registered:
    return Registered(
        dataset=version.name,
        version=int(version.version),
        run_id=version.run_id,
        candidate=version.tags.get(CANDIDATE_TAG, "unknown"),
        bundle=version.source.partition(f"{version.run_id}/")[2] or BUNDLE,
        tags=version.tags,
    )

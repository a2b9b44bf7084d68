"""Versions of bundles, and the aliases that name them."""

import pytest

from pipelines.errors import NotFound
from pipelines.tracking import versions
from pipelines.tracking.client import Tracking
from pipelines.tracking.versions import Registered


@pytest.fixture
def two(tracking: Tracking, name: str, experiment: str) -> list[Registered]:
    """Two versions."""
    made = []
    for number in (1, 2):
        run = tracking.client.create_run(experiment).info.run_id
        tracking.upload_text(run, "bundles/b/bundle.json", "{}")
        made.append(
            versions.register(
                tracking,
                name,
                run_id=run,
                artifact="bundles/b",
                about="A test.",
                tags={versions.CANDIDATE_TAG: f"c{number}", versions.BUNDLE_TAG: f"b{number}"},
            )
        )
    return made


def test_a_version_knows_its_run_its_bundle_and_its_candidate(
    tracking: Tracking, name: str, two: list[Registered]
) -> None:
    assert [v.version for v in versions.every(tracking, name)] == [2, 1]
    first = versions.named(tracking, name, 1)
    assert first == two[0]
    assert first.bundle == "bundles/b"
    assert first.candidate == "c1"
    assert tracking.has_artifact(first.run_id, first.bundle)


def test_an_alias_names_one_version_at_a_time(
    tracking: Tracking, name: str, two: list[Registered]
) -> None:
    versions.set_alias(tracking, name, "champion", version=1)
    versions.set_alias(tracking, name, "champion", version=2)

    assert versions.holder(tracking, name, "champion") == two[1]
    assert versions.holder(tracking, name, "previous") is None

    versions.delete_alias(tracking, name, "champion")
    versions.delete_alias(tracking, name, "champion")

    assert versions.holder(tracking, name, "champion") is None


def test_a_version_that_is_not_there_is_named_with_those_that_are(
    tracking: Tracking, name: str, two: list[Registered]
) -> None:
    with pytest.raises(NotFound, match=rf"{name} has no version 9 .* versions: 2, 1\."):
        versions.named(tracking, name, 9)
    with pytest.raises(NotFound, match="versions: none yet"):
        versions.named(tracking, f"{name}_other", 1)
    assert len(two) == 2

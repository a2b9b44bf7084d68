"""Tables are made once for a release, brought up to date by a later one, and refused when newer."""

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from pipelines import database
from pipelines.errors import StackError
from pipelines.settings import Settings
from stack.tables import bring_up_to_date
from stack.testing import running_stack


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Settings]:
    with running_stack(["postgres"], home=tmp_path_factory.mktemp("tables")) as settings:
        yield settings


def migrated(server: Settings, release: str, script: str) -> list[str]:
    """What was said while a database was brought up to date by a script."""
    said: list[str] = []
    bring_up_to_date(
        server,
        "mlflow",
        release=release,
        migration=[sys.executable, "-c", script],
        environment={},
        say=said.append,
    )
    return said


def test_a_later_release_migrates_once_and_an_earlier_one_is_refused(
    server: Settings, tmp_path: Path
) -> None:
    trace = f"open({str(tmp_path / 'runs')!r}, 'a').write('x')"

    assert migrated(server, "mlflow 3.9.0", trace)
    assert migrated(server, "mlflow 3.9.0", trace) == []
    assert migrated(server, "mlflow 3.17.2", trace)
    assert (tmp_path / "runs").read_text() == "xx"
    assert database.release(server, "mlflow") == "mlflow 3.17.2"

    with pytest.raises(StackError, match=r"by mlflow 3\.17\.2; this is mlflow 3\.9\.0.*restore"):
        migrated(server, "mlflow 3.9.0", trace)
    assert (tmp_path / "runs").read_text() == "xx"


def test_a_migration_that_fails_is_told_and_tried_again(server: Settings) -> None:
    database.note_release(server, "mlflow", "")

    with pytest.raises(StackError, match="no such revision"):
        migrated(server, "mlflow 4.0.0", "raise SystemExit('no such revision')")
    assert database.release(server, "mlflow") == ""
    assert migrated(server, "mlflow 4.0.0", "")

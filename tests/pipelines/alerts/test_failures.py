"""A failed step as an alert: its kind, and nothing that names a patient."""

import pytest

from pipelines.alerts.failures import failure_alert, failure_keys
from pipelines.errors import BackupError, CheckFailed, LandingError, MedloopError, StoreUnavailable
from pipelines.spark.failures import failure

CHECK = CheckFailed(
    "phantom: the landing suite is not met (1 of 12 expectations):\n"
    "  - Every image can be read; found 2 of 40 rows: landing/Smith_John.png, b.png.\n"
    "Mend the data. Report: /home/x/data-docs/index.html"
)


class AirflowFailException(Exception):
    """Named as Airflow's, by which a step says that trying again cannot help."""


def failed_for_good(error: Exception) -> Exception:
    try:
        raise AirflowFailException(str(error)) from error
    except AirflowFailException as outer:
        return outer


def wrapped(error: MedloopError) -> Exception:
    try:
        raise RuntimeError(f"{type(error).__name__}: {error}") from error
    except RuntimeError as outer:
        return outer


@pytest.mark.parametrize("error", [CHECK, wrapped(CHECK)])
def test_a_failed_check_tells_what_was_expected_and_no_file(error: Exception) -> None:
    alert = failure_alert("phantom", "check_landing", error=error, link="http://run")

    assert alert.kind == "check_failed"
    assert alert.title == "phantom: check_landing is not passed"
    assert "1 of 12 expectations" in alert.text
    assert "Every image can be read" in alert.text
    assert "Smith" not in alert.text
    assert alert.link == "http://run"


def test_what_does_not_answer_is_named() -> None:
    error = StoreUnavailable("HDFS does not answer at http://127.0.0.1:9870.")
    alert = failure_alert("phantom", "prepare", error=wrapped(error))

    assert alert.kind == "run_failed"
    assert "http://127.0.0.1:9870" in alert.text


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (LandingError("landing/Smith_John.png is no image"), "LandingError: A landing folder"),
        (ValueError("Smith_John.png"), "ValueError."),
        (failed_for_good(ValueError("Smith_John.png")), "ValueError."),
        (failure("score phantom", "OSError: broken pipe: Smith_John.png"), "score phantom."),
        (None, "killed"),
        ("Task timed out for Smith_John", "killed"),
    ],
)
def test_other_errors_tell_their_kind_alone(error: BaseException | str | None, told: str) -> None:
    alert = failure_alert("phantom", "ingest", error=error)

    assert alert.kind == "run_failed"
    assert told in alert.text
    assert "Smith" not in alert.text


def test_a_failed_backup_is_a_kind_of_its_own() -> None:
    alert = failure_alert("backup", "backup", error=BackupError("x"))

    assert alert.kind == "backup_failed"
    assert alert.key in failure_keys("backup", "backup")


def test_the_keys_are_those_of_every_alert_the_step_may_have_made() -> None:
    keys = failure_keys("phantom", "check_landing")

    assert failure_alert("phantom", "check_landing", error=CHECK).key in keys
    assert failure_alert("phantom", "check_landing", error=None).key in keys

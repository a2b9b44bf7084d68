"""The server's settings file is read as container engines read it, and mistakes in it are named."""

from pathlib import Path

import pytest

from pipelines.errors import StackError
from stack.tracking_server import SERVER_ENV, read_env


def test_names_and_values_are_read_without_comments(tmp_path: Path) -> None:
    file = tmp_path / "server.env"
    file.write_text("# why\n\nONE=1\nTWO=a=b\n")
    assert read_env(file) == {"ONE": "1", "TWO": "a=b"}


@pytest.mark.parametrize("line", ["ONE", "ONE 1", "1ONE=1", "=1"])
def test_a_line_that_is_no_setting_is_an_error_that_names_it(tmp_path: Path, line: str) -> None:
    file = tmp_path / "server.env"
    file.write_text(f"{line}\n")
    with pytest.raises(StackError, match=f"server.env.*{line}"):
        read_env(file)


def test_the_shipped_settings_start_no_job_runners() -> None:
    assert read_env(SERVER_ENV)["MLFLOW_SERVER_ENABLE_JOB_EXECUTION"] == "false"

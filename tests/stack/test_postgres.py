import subprocess
import sys
from pathlib import Path

from stack.postgres import _as_server_user


def test_its_programs_may_be_in_a_folder_that_only_its_owner_may_enter(tmp_path: Path) -> None:
    tmp_path.chmod(0o700)
    program = tmp_path / "initdb"
    program.write_text("a program")

    # As initdb looks for the programs beside it.
    look = "import os, sys; sys.exit(not os.access(sys.argv[1], os.R_OK))"
    command = [*_as_server_user(), sys.executable, "-S", "-c", look, str(program)]
    assert subprocess.run(command, check=False).returncode == 0

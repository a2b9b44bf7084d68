"""The service is ready soon: what it does not need to answer is not imported when it starts."""

import subprocess
import sys

from pipelines.settings import PROJECT

HEAVY = ("tensorflow", "keras", "mlflow", "pyspark", "pandas", "scipy", "sklearn", "matplotlib")


def test_nothing_heavy_is_imported_before_the_service_is_up() -> None:
    code = f"import sys, serving.service; print(*sys.modules.keys() & set({HEAVY}))"
    run = subprocess.run(
        [sys.executable, "-c", code], cwd=PROJECT, capture_output=True, text=True, check=True
    )
    assert run.stdout.split() == []

"""The service is ready soon: what it does not need to answer is not imported when it starts."""

import subprocess
import sys

from pipelines.settings import PROJECT

INFERENCE = ("openvino", "serving.app")
HEAVY = (
    *("tensorflow", "keras", "mlflow", "pyspark", "pandas", "scipy", "sklearn", "matplotlib"),
    *("pyarrow", "pydicom", "gdcm"),
)


STARTED = "serving.service, serving.worker, pipelines.release.registry"
"""What a worker imports until it first asks MLflow."""


def test_nothing_heavy_is_imported_before_the_service_is_up() -> None:
    code = f"import sys, {STARTED}; print(*sys.modules.keys() & set({HEAVY}))"
    run = subprocess.run(
        [sys.executable, "-c", code], cwd=PROJECT, capture_output=True, text=True, check=True
    )
    assert run.stdout.split() == []


def test_the_supervisor_does_without_what_only_workers_need() -> None:
    code = f"import sys, serving.service; print(*sys.modules.keys() & set({INFERENCE}))"
    run = subprocess.run(
        [sys.executable, "-c", code], cwd=PROJECT, capture_output=True, text=True, check=True
    )
    assert run.stdout.split() == []


def test_a_bento_s_image_has_all_that_the_service_imports() -> None:
    code = """
import sys, serving.service, serving.worker, pipelines.cli.app
from importlib.metadata import packages_distributions
from serving.bento import PACKAGES, installed
names = {line.partition("==")[0] for line in installed(PACKAGES)}
found = packages_distributions()
imported = {d.lower() for m in sys.modules for d in found.get(m, ()) if "." not in m}
print(*{name.replace("_", "-").replace(".", "-") for name in imported} - names)
"""
    run = subprocess.run(
        [sys.executable, "-c", code], cwd=PROJECT, capture_output=True, text=True, check=True
    )
    assert set(run.stdout.split()) <= INSTALLED_BY_CHANCE


INSTALLED_BY_CHANCE = {
    # of setuptools' start file, pydicom's and Rich's optional plug-ins, BentoML's progress bars
    *("setuptools", "python-gdcm", "linkify-it-py", "tqdm"),
    *("requests", "urllib3", "charset-normalizer", "sniffio"),
    # of FastAPI's types for addresses and colours
    *("email-validator", "pydantic-extra-types"),
}
"""Imported where it is installed; the service answers without it."""

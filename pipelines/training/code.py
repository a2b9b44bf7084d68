"""The version of the code that trains: another one may come to another model."""

from importlib import import_module
from pkgutil import iter_modules

from pipelines.stage import code_version, unexecuted

PACKAGES = ("pipelines.training", "pipelines.models", "pipelines.features")
"""What decides what a training results in …"""
ONLY_AROUND = ("pipelines.training.candidate", __name__)
"""… but for what merely begins it and keeps what it came to."""


def training_code() -> str:
    """Version of the code that trains. Its modules are found, not run: Keras takes seconds."""
    names = {f"{p}.{m.name}" for p in PACKAGES for m in iter_modules(import_module(p).__path__)}
    return code_version(*(unexecuted(name) for name in sorted(names.difference(ONLY_AROUND))))

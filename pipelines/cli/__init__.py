"""The ``medloop`` command: the same steps a DAG runs, by hand, and the stack they run on."""

from pipelines.cli.app import main

__all__ = ["main"]

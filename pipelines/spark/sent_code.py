"""Our own code travels with each job: executors need Medloop's libraries, not Medloop itself."""

import tempfile
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from pipelines.settings import PROJECT, Settings

SENT = ("pipelines",)
"""The packages that executors import."""
NAME = "medloop-code"
"""The folder that Spark unpacks them into, beside each executor."""


@contextmanager
def sent_code(settings: Settings) -> Iterator[dict[str, str]]:
    """Properties by which the executors' Python finds our code, while the context lasts.

    Within the task (``local``) that is this checkout. A cluster gets it as an archive, so that its
    nodes run the version that the driver runs, wherever they keep their libraries. It is unpacked,
    not imported from the archive, because `pipelines.stage.code_version` reads source files.
    """
    if settings.spark_is_local:
        yield {"spark.executorEnv.PYTHONPATH": str(PROJECT)}
        return
    with tempfile.TemporaryDirectory(prefix="medloop-code-") as folder:
        archive = Path(folder) / f"{NAME}.zip"
        with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as packed:
            for package in SENT:
                for file in sorted((PROJECT / package).rglob("*")):
                    if file.is_file() and file.suffix != ".pyc":
                        packed.write(file, file.relative_to(PROJECT))
        yield {
            "spark.archives": f"{archive}#{NAME}",
            # Relative to the folder that an executor, and so its Python, is started in.
            "spark.executorEnv.PYTHONPATH": NAME,
        }

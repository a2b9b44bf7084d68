"""Folders that travel with a Spark job: executors need no MLflow and no shared home for them."""

import tempfile
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pyspark.sql import SparkSession


@contextmanager
def sent(spark: "SparkSession", content: Path) -> Iterator[str]:
    """Send a folder to all executors, as an archive that Spark unpacks beside each of them, on
    ``local[…]``, a standalone cluster and YARN alike.

    Yields:
        The name it has there, for ``SparkFiles.get``.
    """
    with tempfile.TemporaryDirectory(prefix="medloop-sent-") as folder:
        archive = Path(folder) / "content.zip"
        with zipfile.ZipFile(archive, "w", zipfile.ZIP_STORED) as packed:
            for file in sorted(content.rglob("*")):
                packed.write(file, file.relative_to(content))
        name = Path(folder).name  # another one each time: Spark sends a name once
        spark.sparkContext.addArchive(f"{archive}#{name}")
        yield name

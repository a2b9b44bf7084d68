"""Landing folders, wherever they stand: one `Source` interface, over a local folder or HDFS."""

from pathlib import Path
from urllib.parse import urlsplit

from pipelines.data.folders.base import FileState, Source, wanted
from pipelines.data.folders.local import LocalFolder
from pipelines.errors import LandingError
from pipelines.settings import Settings
from pipelines.spec import DatasetSpec

__all__ = [
    "FileState",
    "LocalFolder",
    "Source",
    "is_hdfs",
    "landing_place",
    "open_source",
    "place_of",
    "wanted",
]


def landing_place(spec: DatasetSpec, settings: Settings) -> str:
    """Where new images of a data set are expected; see `place_of`."""
    return place_of(spec.landing.path or str(settings.home / "landing" / spec.name))


def place_of(folder: str) -> str:
    """The one name of a landing folder, however it is called: its path, or its HDFS URI."""
    return folder if is_hdfs(folder) else str(Path(folder).expanduser().resolve())


def is_hdfs(place: str) -> bool:
    """Whether a landing folder stands in HDFS."""
    return place.startswith("hdfs:")


def open_source(settings: Settings, place: str) -> Source:
    """A landing folder, for reading; whether it is there is asked of it later.

    Args:
        settings: how HDFS is reached.
        place: a local path, or ``hdfs:///PATH`` (``hdfs://HOST:PORT/PATH``) in the HDFS of this
            installation.

    Raises:
        LandingError: the URI names another HDFS, or no folder.
    """
    if not is_hdfs(place):
        return LocalFolder(Path(place_of(place)))
    from pipelines.data.folders.hdfs import HdfsFolder

    return HdfsFolder(_own(settings, place), webhdfs=settings.webhdfs, user=settings.hdfs_user)


def _own(settings: Settings, place: str) -> str:
    """The URI without what goes without saying, so that one folder has one name."""
    named, store = urlsplit(place), urlsplit(settings.store_root)
    if named.netloc and store.scheme == "hdfs" and named.netloc != store.netloc:
        raise LandingError(
            f"{place} is in another HDFS than this installation's ({store.netloc}), which is the "
            "only one it can read. Copy the images there (hadoop distcp), or write "
            f"hdfs:///… for a folder of {store.netloc}."
        )
    if not named.path.strip("/"):
        raise LandingError(f"{place} names no folder; write hdfs:///PATH (three strokes).")
    return f"hdfs:///{named.path.strip('/')}"

"""Landing folders: one `Source` interface, over a local folder, HDFS or a bucket."""

from pathlib import Path
from urllib.parse import urlsplit

from pipelines.data.folders.base import FileState, Source, wanted
from pipelines.data.folders.local import LocalFolder
from pipelines.errors import LandingError
from pipelines.settings import Settings
from pipelines.spec import DatasetSpec
from pipelines.storage.objects import SCHEMES, Access

__all__ = [
    "FileState",
    "LocalFolder",
    "Source",
    "is_remote",
    "landing_place",
    "open_source",
    "place_of",
    "wanted",
]


def landing_place(spec: DatasetSpec, settings: Settings) -> str:
    """Where new images of a data set are expected; see `place_of`."""
    return place_of(spec.landing.path or str(settings.home / "landing" / spec.name))


def place_of(folder: str) -> str:
    """The one name of a landing folder, however it is called: its path, or its URI."""
    return folder if is_remote(folder) else str(Path(folder).expanduser().resolve())


def is_remote(place: str) -> bool:
    """Whether a landing folder is in HDFS or in a bucket."""
    return place.startswith(("hdfs:", *(f"{scheme}:" for scheme in SCHEMES)))


def open_source(settings: Settings, place: str) -> Source:
    """A landing folder, for reading; whether it is there is asked of it later.

    Args:
        settings: how HDFS is reached.
        place: a local path, ``hdfs:///PATH`` (``hdfs://HOST:PORT/PATH``) in the HDFS of this
            installation, or ``s3://BUCKET/PATH``, ``gs://…`` or ``abfs://…``.

    Raises:
        LandingError: the URI names another HDFS, or no folder.
    """
    if not is_remote(place):
        return LocalFolder(Path(place_of(place)))
    if not place.startswith("hdfs:"):
        return _in_bucket(settings, place)
    from pipelines.data.folders.hdfs import HdfsFolder

    return HdfsFolder(_own(settings, place), webhdfs=settings.webhdfs, user=settings.hdfs_user)


def _in_bucket(settings: Settings, place: str) -> Source:
    from pipelines.data.folders.bucket import BucketFolder

    named = urlsplit(place)
    if not named.netloc:
        raise LandingError(f"{place} names no bucket; write {named.scheme}://BUCKET/PATH.")
    return BucketFolder(place.rstrip("/"), Access.of(settings))


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
        raise LandingError(f"{place} names no folder; write hdfs:///PATH (three slashes).")
    return f"hdfs:///{named.path.strip('/')}"

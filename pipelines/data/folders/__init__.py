"""Landing folders: one interface for local disks, HDFS and buckets."""

from pathlib import Path
from urllib.parse import urlsplit

from pipelines.data.folders.base import FileState, LandingFolder, wanted
from pipelines.data.folders.local import LocalFolder
from pipelines.errors import LandingError
from pipelines.settings import Settings
from pipelines.spec import DatasetSpec
from pipelines.storage.objects import SCHEMES, Access

__all__ = [
    "FileState",
    "LandingFolder",
    "LocalFolder",
    "is_remote",
    "landing_location",
    "location_of",
    "open_folder",
    "wanted",
]


def landing_location(spec: DatasetSpec, settings: Settings) -> str:
    """The path or URI of a data set's landing folder; see `location_of`."""
    return location_of(spec.landing.path or str(settings.home / "landing" / spec.name))


def location_of(folder: str) -> str:
    """The canonical name of a landing folder: an absolute path without links, or a URI."""
    return folder if is_remote(folder) else str(Path(folder).expanduser().resolve())


def is_remote(location: str) -> bool:
    """Whether a landing folder is in HDFS or in a bucket."""
    return location.startswith(("hdfs:", *(f"{scheme}:" for scheme in SCHEMES)))


def open_folder(settings: Settings, location: str) -> LandingFolder:
    """Open a landing folder. It need not exist; see `LandingFolder.exists`.

    Args:
        settings: how to reach HDFS and buckets.
        location: a local path, ``hdfs:///PATH`` (``hdfs://HOST:PORT/PATH``) in the HDFS of this
            installation, or ``s3://BUCKET/PATH``, ``gs://…`` or ``abfs://…``.

    Raises:
        LandingError: the URI names another HDFS cluster, or no folder.
    """
    if not is_remote(location):
        return LocalFolder(Path(location_of(location)))
    if not location.startswith("hdfs:"):
        return _in_bucket(settings, location)
    from pipelines.data.folders.hdfs import HdfsFolder

    return HdfsFolder(_own(settings, location), webhdfs=settings.webhdfs, user=settings.hdfs_user)


def _in_bucket(settings: Settings, location: str) -> LandingFolder:
    from pipelines.data.folders.bucket import BucketFolder

    named = urlsplit(location)
    if not named.netloc:
        raise LandingError(f"{location} names no bucket; write {named.scheme}://BUCKET/PATH.")
    return BucketFolder(location.rstrip("/"), Access.of(settings))


def _own(settings: Settings, location: str) -> str:
    """The URI without the authority, so that one folder has one name."""
    named, store = urlsplit(location), urlsplit(settings.store_root)
    if named.netloc and store.scheme == "hdfs" and named.netloc != store.netloc:
        raise LandingError(
            f"{location} is not in the HDFS of this installation ({store.netloc}), the only one it "
            "can read. Copy the images there (hadoop distcp), or write hdfs:///… for a folder of "
            f"{store.netloc}."
        )
    if not named.path.strip("/"):
        raise LandingError(f"{location} names no folder; write hdfs:///PATH (three slashes).")
    return f"hdfs:///{named.path.strip('/')}"

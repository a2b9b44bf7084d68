"""The settings that say where the store is, and how it is reached (``docs/stores.md``)."""

import re
from pathlib import Path

from pydantic import field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

ENDPOINT = re.compile(r"https?://[^/@?#\s]+/?")


class StoreSettings(BaseSettings):
    """Each field is set by ``MEDLOOP_<FIELD>``, as those of `pipelines.settings.Settings`.

    Credentials are not among them: clients find those in the environment or in the files of their
    cloud (``~/.aws``), so that no setting, log or MLflow parameter holds one.
    """

    model_config = SettingsConfigDict(use_attribute_docstrings=True)

    store: str | None = None
    """Root of the store: ``hdfs://HOST:PORT/PATH``, ``s3://BUCKET/PATH``, ``gs://BUCKET/PATH``,
    ``abfs://CONTAINER/PATH`` or ``file:///PATH``; embedded HDFS if unset."""
    webhdfs_url: str | None = None
    """WebHDFS address of an ``hdfs://`` store, or those of several NameNodes, with ``;`` between
    them: a standby or absent one is passed over. The embedded NameNode's if unset."""
    hdfs_user: str = "medloop"
    """The name under which files are written to HDFS."""
    store_endpoint: str | None = None
    """Address of the object store's server, for ``s3://`` and ``gs://``, such as
    ``https://minio.example.org:9000``; Amazon's or Google's own if unset."""
    store_region: str | None = None
    """Region of an ``s3://`` store; what ``AWS_REGION`` or ``~/.aws/config`` says if unset."""
    store_ca_bundle: Path | None = None
    """Certificates (PEM) of the authorities that an ``s3://`` server's certificate is checked
    against; the usual ones if unset."""

    @field_validator("store_endpoint")
    @classmethod
    def _endpoint(cls, url: str | None) -> str | None:
        if url and not ENDPOINT.fullmatch(url):
            raise ValueError(
                "it is not the address of a server; write scheme, host and port, such as "
                "https://minio.example.org:9000 (no bucket, no login)"
            )
        return url.rstrip("/") if url else url

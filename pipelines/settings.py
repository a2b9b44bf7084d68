"""Where things are and which ports they use: one place, read from ``MEDLOOP_...`` variables.

They come from the environment, or else from the file ``.env`` in the installation's folder. The
file ``datasets/*.yaml`` describes a data set; the settings describe an installation. Nothing else
in Medloop reads the environment for its configuration. `pipelines.isolation` makes environments for
processes that must not read the installation's settings.
"""

import os
import re
from functools import lru_cache
from pathlib import Path
from typing import Literal

from pydantic import Field, ValidationError, ValidationInfo, field_validator
from pydantic_settings import (
    BaseSettings,
    DotEnvSettingsSource,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
)

from pipelines.errors import SettingsError
from pipelines.queue_settings import QueueSettings
from pipelines.reach import WILDCARDS, address_of, within
from pipelines.renamed_settings import RenamedSource
from pipelines.retention_settings import RetentionSettings
from pipelines.spark_settings import SparkSettings
from pipelines.store_settings import StoreSettings

PROJECT = Path(__file__).resolve().parent.parent
"""The folder of the program: a checkout, an image's ``/opt/medloop``, or a wheel's folder."""
IS_WHEEL = PROJECT.with_name("medloop.pth").is_file()
"""Whether a wheel was installed: it has a path file beside its folder (stack/build_hook.py)."""
INSTALLATION = Path.home() / "medloop" if IS_WHEEL else PROJECT
"""The folder of ``.env`` and, by default, of all state; a new wheel replaces `PROJECT`."""
ENV_FILE = "MEDLOOP_ENV_FILE"
"""The variable that names another file to read instead of ``.env``."""
NO_ENV_FILE = "none"
"""Its value for a process that reads no such file."""
SERVICE_FLUSH_SECONDS = 15
"""For which the service may write what it holds in memory once its requests are answered."""
MAIL_ADDRESS = re.compile(r"[^@\s<>,;\"]+@[^@\s<>,;\"]+")
ORIGIN = re.compile(r"https?://([a-z0-9.-]+|\[[0-9a-f:]+\])(:[0-9]{1,5})?")


class Settings(SparkSettings, StoreSettings, RetentionSettings, QueueSettings):
    """One installation of Medloop. Each field is set by ``MEDLOOP_<FIELD>`` (``medloop settings``).

    Every part listens on ``host`` (loopback unless told otherwise). ``store``, ``mlflow_uri``
    and ``airflow_url`` default to the embedded stack and may point elsewhere.
    """

    model_config = SettingsConfigDict(
        env_prefix="MEDLOOP_",
        env_file=INSTALLATION / ".env",
        env_ignore_empty=True,
        extra="ignore",
        use_attribute_docstrings=True,
    )

    home: Path = INSTALLATION / ".medloop"
    """Where all state lives: databases, HDFS blocks, logs, caches."""
    datasets: Path = PROJECT / "datasets"
    """The folder of dataset specs."""
    jars: Path = INSTALLATION / ".medloop" / "cache" / "jars"
    """Where the Hadoop servers' jars and the archive of Spark's classes are kept; apart from
    ``home``, so that several installations share them."""
    host: str = "127.0.0.1"
    """The address that the service, MLflow and Airflow listen on and are reached at; elsewhere
    than on loopback they ask who is there. HDFS, Spark and YARN, which ask nobody, stay on
    loopback unless ``cluster_host`` is set."""
    cluster_host: str | None = None
    """The name or address of this machine at which the embedded HDFS, Spark and YARN listen, so
    that other machines reach them; loopback if unset. They have no login, and YARN runs whatever it
    is given: read docs/cluster.md first."""

    service_port: int = Field(default=3000, ge=1, le=65535)
    """The prediction service and its page."""
    mlflow_port: int = Field(default=5000, ge=1, le=65535)
    """MLflow: server and page."""
    airflow_port: int = Field(default=8080, ge=1, le=65535)
    """Airflow: API server and page."""
    namenode_port: int = Field(default=9870, ge=1, le=65535)
    """WebHDFS and JMX of the NameNode."""
    namenode_rpc_port: int = Field(default=8020, ge=1, le=65535)
    """Hadoop's own protocol, which Spark speaks."""
    datanode_base_port: int = Field(default=9864, ge=1, le=65000)
    """DataNode N uses this port + 10 N (HTTP), + 10 N + 2 (data) and + 10 N + 3 (IPC)."""
    datanodes: int = Field(default=1, ge=1, le=8)
    """How many DataNodes the embedded HDFS has; blocks have as many copies, at most 3."""
    resource_manager_port: int = Field(default=8088, ge=1, le=65000)
    """YARN's ResourceManager (web); its other ports follow. Used with ``spark=yarn`` only."""
    spark_port: int = Field(default=7077, ge=1, le=65000)
    """Spark's own Master; its page and the Worker's ports follow. Used with ``spark=standalone``
    only."""

    database_host: str | None = None
    """The host on which PostgreSQL answers, as the user ``postgres``; its password is read from
    ``PGPASSWORD`` or ``PGPASSFILE``. Set in containers, where each server has one of its own and
    there is no native stack; the embedded one's socket if unset."""
    mlflow_uri: str | None = None
    """MLflow tracking server; the embedded one if unset."""
    mlflow_login_file: Path | None = None
    """A JSON file, ``{"username": …, "password": …}``, by which our commands log in to MLflow; the
    embedded server's own if unset."""
    mlflow_auth: Literal["auto", "on"] = "auto"
    """When the embedded MLflow asks for a login: wherever others than this machine can reach it
    (``auto``), or always."""
    mlflow_hosts: str = ""
    """Further names, divided by commas, by which the embedded MLflow is called (a proxy's)."""
    airflow_url: str | None = None
    """Airflow API server; the embedded one if unset."""
    heavy_tasks: int | None = Field(default=None, ge=1)
    """How many heavy steps of DAGs (prepare, train, evaluate, select, score) run at once, whatever
    their data set; if unset, one for every two cores, as far as there is memory for them."""
    heavy_gigabytes: float = Field(default=6.0, gt=0)
    """Memory that a heavy step may take with all the processes it starts; above it, it fails."""
    spark_driver_host: str | None = None
    """The name by which executors on other machines reach the driver; ``host`` if unset."""
    service_wait_seconds: float = Field(default=1.0, gt=0)
    """How long an image may be expected to wait for a thread; beyond that, the service answers
    503 with Retry-After."""
    service_stop_seconds: int = Field(default=30, ge=1)
    """How long the service may take to answer what it was asked, once it is told to stop."""
    service_header_seconds: float = Field(default=10.0, gt=0)
    """How long a client of the service may take to begin a request and to end its headers, and to
    end a body that was answered before it had arrived."""
    service_read_seconds: float = Field(default=30.0, gt=0)
    """How long a client of the service may take to send a request's body."""
    service_answer_seconds: float = Field(default=120.0, gt=0)
    """How long a request may take until its answer begins, the arrival of its body included;
    beyond that, the service answers 504."""
    service_write_seconds: float = Field(default=30.0, gt=0)
    """How long a client of the service may leave its answer unread."""
    service_connections: int = Field(default=500, ge=10)
    """Most connections of one worker; beyond that, the client waited for longest gives way."""
    champion_poll_seconds: float = Field(default=5.0, gt=0)
    """How often the service asks MLflow whether the champion has changed."""
    service_tuning: Literal["latency", "throughput"] = "latency"
    """What the service's threads are used for: ``latency``, all of them on one image, for the
    soonest answer; ``throughput``, an image each, for the most answers when many ask at once."""
    service_batching: Literal["off", "adaptive"] = "off"
    """``adaptive``: BentoML's dispatcher gathers waiting images; the model runs them at once."""

    service_auth: Literal["auto", "on"] = "auto"
    """When the service asks for API tokens: wherever others than this machine can reach it
    (``auto``), or always."""
    service_hosts: str = ""
    """Further names, divided by commas, by which the service is called on loopback without
    tokens (a proxy's); ``localhost`` and ``host`` are known. Others are refused: a web page
    could have its own name lead to this machine (DNS rebinding)."""
    service_tls_cert: Path | None = None
    """The service's certificate, with its chain (PEM); it then speaks HTTPS."""
    service_tls_key: Path | None = None
    """The private key that belongs to it (PEM, without a password)."""
    service_ca: Path | None = None
    """Certificates our own commands trust when they ask the service; the system's if unset."""
    service_url: str | None = None
    """Where our own commands reach the service, if not at ``host`` and ``service_port``."""
    service_rate: float = Field(default=100.0, gt=0)
    """Requests a second that one token may go on asking of one worker."""
    service_burst: int = Field(default=200, ge=1)
    """Requests that it may ask at once, before the rate holds it."""
    service_sample_share: float = Field(default=0.1, ge=0, le=1)
    """Share of the service's answers whose features and predictions (no pixels) are written to
    the store for monitoring; 0: none."""
    service_sample_seconds: float = Field(default=600, gt=0)
    """How often they are written: each time makes a file a worker in HDFS."""
    classic_dataset: str | None = None
    """The data set that the legacy API (``/api/…``) answers for; needed where several are served,
    as its clients name none."""
    classic_port: int | None = Field(default=None, ge=1, le=65535)
    """Deprecated, removed with the next release: a second port at which the service answers
    ``/api/…`` alone. Let nginx open it (examples/nginx)."""
    service_cors_origins: str = ""
    """Origins, divided by commas, whose web pages may ask the service from a browser
    (``https://viewer.example.org``); none by default."""
    audit_megabytes: float = Field(default=50.0, gt=0)
    """Size at which a file of the audit log is put aside and a new one begun."""
    audit_files: int = Field(default=20, ge=2)
    """Files of the audit log that are kept, of answers and of refusals each."""

    alert_repeat_hours: float = Field(default=24, gt=0)
    """How long the same trouble is not told again, however often it is seen."""
    alert_smtp_host: str | None = None
    """The mail server that alerts are handed to (``docs/alerts.md``)."""
    alert_smtp_port: int = Field(default=587, ge=1, le=65535)
    """Its port; 465 goes with ``tls``."""
    alert_smtp_tls: Literal["starttls", "tls", "none"] = "starttls"
    """How the way to the mail server is encrypted."""
    alert_smtp_user: str | None = None
    """Whom to log in as at the mail server; nobody if unset."""
    alert_smtp_password_file: Path | None = None
    """A file with that user's password, alone."""
    alert_email_from: str | None = None
    """The sender of alerts by e-mail."""
    alert_email_to: str = ""
    """Who gets alerts by e-mail: addresses, divided by commas; nobody by default."""
    alert_webhook_url_file: Path | None = None
    """A file with the address, alone, that alerts are posted to: addresses of chat hooks are
    secrets, so they stand in no variable."""
    alert_webhook_secret_file: Path | None = None
    """A file with the secret, alone, by which the receiver knows that they come from here."""
    alert_webhook_auth: Literal["hmac", "bearer"] = "hmac"
    """How the secret is used: the body is signed with it, or it is sent along."""

    watch_port: int = Field(default=9300, ge=1, le=65535)
    """Metrics of the stack, for Prometheus; on loopback, whatever ``host`` is."""
    watch_seconds: float = Field(default=15.0, gt=0)
    """How often the watch asks every part how it is."""
    watch_disk_share: float = Field(default=0.1, ge=0, lt=1)
    """Share of a disk, or of HDFS, that should be free."""
    watch_disk_gigabytes: float = Field(default=5.0, ge=0)
    """What should be free at least, however large it is."""

    backup_folder: Path | None = None
    """Where backups go: another disk than the home's, best another machine's; the folder
    ``backups`` of the home if unset."""
    backup_hours: float | None = Field(default=None, gt=0)
    """How often Airflow takes a backup; only by hand (``medloop backup``) if unset."""
    backup_keep: int = Field(default=7, ge=1)
    """Backups that are kept; older ones are removed once a new one stands."""
    backup_snapshots: bool = False
    """Whether Airflow's backups hold the images of the store too, originals and prepared ones."""

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Arguments override variables, which override the file that ``MEDLOOP_ENV_FILE`` names."""
        named = os.environ.get(ENV_FILE)
        default = getattr(dotenv_settings, "env_file", None) == cls.model_config.get("env_file")
        if named and default:
            file = None if named == NO_ENV_FILE else Path(named)
            dotenv_settings = DotEnvSettingsSource(settings_cls, env_file=file)
        sources = (env_settings, RenamedSource(settings_cls, env_settings))
        files = (dotenv_settings, RenamedSource(settings_cls, dotenv_settings))
        return init_settings, *sources, *files, file_secret_settings

    @field_validator(
        *("home", "datasets", "jars", "backup_folder", "mlflow_login_file", "store_ca_bundle"),
        *("spark_hadoop_conf", "spark_conf"),
        *("service_tls_cert", "service_tls_key", "service_ca"),
        *("alert_smtp_password_file", "alert_webhook_url_file", "alert_webhook_secret_file"),
    )
    @classmethod
    def _absolute(cls, path: Path | None) -> Path | None:
        return path.expanduser().absolute() if path else None

    @field_validator("alert_smtp_password_file")
    @classmethod
    def _password_in_the_open(cls, path: Path | None, info: ValidationInfo) -> Path | None:
        host = info.data.get("alert_smtp_host")
        open_way = info.data.get("alert_smtp_tls") == "none"
        if path and open_way and host not in ("localhost", "127.0.0.1", "::1"):
            raise ValueError(
                f"the password would go to {host} in the open: MEDLOOP_ALERT_SMTP_TLS=none is for "
                "a mail server on this machine; use starttls or tls"
            )
        return path

    @field_validator("alert_email_from", "alert_email_to")
    @classmethod
    def _mail_addresses(cls, text: str | None, info: ValidationInfo) -> str | None:
        for address in listed(text or ""):
            if not MAIL_ADDRESS.fullmatch(address):
                raise ValueError(f"{address!r} is no mail address; write name@host, no more")
        needed = ("alert_smtp_host", "alert_email_from")
        missing = [f"MEDLOOP_{name.upper()}" for name in needed if not info.data.get(name)]
        if info.field_name == "alert_email_to" and listed(text or "") and missing:
            raise ValueError(f"e-mail also needs {' and '.join(missing)}")
        return text

    @field_validator("cluster_host")
    @classmethod
    def _no_wildcard(cls, host: str | None) -> str | None:
        if host in WILDCARDS:
            raise ValueError(
                "the parts tell others this address, so it must be one at which they are reached; "
                "write this machine's name or its address in the private network"
            )
        return host

    @field_validator("service_cors_origins", "queue_webhook_origins")
    @classmethod
    def _origins(cls, text: str) -> str:
        for origin in listed(text):
            if not ORIGIN.fullmatch(origin):
                raise ValueError(
                    f"{origin!r} is no origin; write scheme, name and port as a browser does, "
                    "such as https://viewer.example.org (no *, no path, lower case)"
                )
        return text

    @property
    def inner_host(self) -> str:
        """The address of HDFS, Spark and YARN, which ask nobody who they are: loopback unless
        ``cluster_host`` says otherwise."""
        return self.cluster_host or within(self.host)

    @property
    def store_root(self) -> str:
        """URI of the store's root, without a trailing slash."""
        return (self.store or f"hdfs://{self.inner_host}:{self.namenode_rpc_port}/medloop").rstrip(
            "/"
        )

    @property
    def spark_url(self) -> str:
        """What Spark calls its master."""
        if self.spark == "standalone":
            return f"spark://{self.inner_host}:{self.spark_port}"
        # On all cores; a piece of work that is lost is tried up to 4 times.
        return "local[*,4]" if self.spark == "local" else self.spark

    @property
    def webhdfs(self) -> str:
        """URL of the NameNode's HTTP port."""
        return (self.webhdfs_url or f"http://{self.inner_host}:{self.namenode_port}").rstrip("/")

    @property
    def tracking_uri(self) -> str:
        """URL of the MLflow server."""
        return (self.mlflow_uri or self.mlflow_address).rstrip("/")

    @property
    def mlflow_address(self) -> str:
        """URL at which the embedded MLflow is reached from this machine."""
        return f"http://{address_of(self.host)}:{self.mlflow_port}"

    @property
    def airflow(self) -> str:
        """URL of the Airflow API server."""
        return (self.airflow_url or self.airflow_address).rstrip("/")

    @property
    def airflow_address(self) -> str:
        """URL at which the embedded Airflow is reached from this machine."""
        return f"http://{address_of(self.host)}:{self.airflow_port}"

    @property
    def service(self) -> str:
        """URL of the prediction service, for those who ask it."""
        return (self.service_url or self.service_address).rstrip("/")

    @property
    def service_address(self) -> str:
        """URL at which the service of this very installation listens."""
        scheme = "https" if self.service_tls_cert else "http"
        return f"{scheme}://{address_of(self.host)}:{self.service_port}"

    @property
    def service_kill_seconds(self) -> int:
        """When the service is killed if it still runs after it was told to stop.

        Whatever starts it (supervisord, Compose, systemd) must leave it so long: the ports finish
        their requests one after the other, then samples and audit lines are written.
        """
        ports = 1 if self.classic_port is None else 2
        return ports * self.service_stop_seconds + SERVICE_FLUSH_SECONDS

    @property
    def bundles(self) -> Path:
        """Folder of the versions that served here: a restart without MLflow needs them."""
        return self.home / "bundles"

    @property
    def backups(self) -> Path:
        """Folder that backups go to."""
        return self.backup_folder or self.home / "backups"

    @property
    def cache(self) -> Path:
        """Folder of files that can be made again (prepared images, features, models)."""
        return self.home / "cache"

    @property
    def metrics(self) -> Path:
        """Folder of figures for Prometheus that tasks leave (``*.prom``); the watch serves them."""
        return self.home / "metrics"

    @property
    def work(self) -> Path:
        """Folder of unfinished work that a killed run resumes from."""
        return self.home / "work"


def listed(text: str) -> tuple[str, ...]:
    """The words of a setting that is a list divided by commas."""
    return tuple(word.strip() for word in text.split(",") if word.strip())


@lru_cache
def get_settings() -> Settings:
    """The settings of this process.

    Raises:
        SettingsError: a ``MEDLOOP_...`` variable has an unusable value.
    """
    named = os.environ.get(ENV_FILE)
    if named and named != NO_ENV_FILE and not Path(named).is_file():
        raise SettingsError(
            f"{ENV_FILE}={named!r} is not a file. Correct the path, unset the variable to read "
            f"{INSTALLATION / '.env'}, or write {NO_ENV_FILE} to read no file."
        )
    try:
        return Settings()
    except ValidationError as error:
        first = error.errors()[0]
        name = "MEDLOOP_" + str(first["loc"][0]).upper()
        raise SettingsError(
            f"{name}={first['input']!r} is not usable: {first['msg']}. Correct it or unset it."
        ) from error

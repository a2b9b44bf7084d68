"""What the stack's processes find in their environment: little, and the same every time."""

import os
import shutil
import sys
from collections.abc import Mapping
from pathlib import Path

from pipelines import database, isolation
from pipelines.errors import StackError
from pipelines.settings import Settings

INHERITED = {
    *("HOME", "USER", "LOGNAME", "LANG", "LANGUAGE", "TZ", "TMPDIR"),
    *("JAVA_HOME", "LD_LIBRARY_PATH"),
    *("HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy"),
    *("SSL_CERT_FILE", "SSL_CERT_DIR", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"),
    *database.PASSWORD,
}
INHERITED_PREFIXES = ("LC_", "CUDA_", "NVIDIA_", "OMP_", "KERAS_")

LOOPBACK = "localhost,127.0.0.1,::1"
PRIVATE = {
    "DO_NOT_TRACK": "true",
    "BENTOML_DO_NOT_TRACK": "true",
    "GX_ANALYTICS_ENABLED": "false",
    "MLFLOW_DISABLE_TELEMETRY": "true",
}
"""No part reports to its makers."""


def inherited_environment() -> dict[str, str]:
    """What is taken over from the shell that starts the stack: nothing that changes Python."""
    kept = {
        name: value
        for name, value in os.environ.items()
        if name in INHERITED or name.startswith(INHERITED_PREFIXES)
    }
    path = f"{environment_bin()}:{os.environ.get('PATH', os.defpath)}"
    proxied = os.environ.get("no_proxy") or os.environ.get("NO_PROXY")
    direct = ",".join(filter(None, [LOOPBACK, proxied]))
    return kept | {"PATH": path, "no_proxy": direct, "NO_PROXY": direct}


def stack_environment(settings: Settings) -> dict[str, str]:
    """What every process of one installation finds besides: it depends on the settings alone.

    So the same settings, from whatever shell, leave a running stack as it is.
    """
    return {
        **settings_environment(settings),
        **PRIVATE,
        "PYTHONUNBUFFERED": "1",
        # Airflow renames its processes; this leaves their environments readable, by which
        # stack.launch knows what belongs to whom.
        "SPT_NOENV": "1",
        "TF_CPP_MIN_LOG_LEVEL": "2",
    }


def settings_environment(settings: Settings) -> dict[str, str]:
    """The ``MEDLOOP_...`` variables that make another process read exactly these settings."""
    return isolation.settings_environment(settings.model_dump())


def environment_bin() -> Path:
    """The folder of this environment's commands."""
    return Path(sys.executable).parent


def command(name: str) -> str:
    """The path of one of this environment's commands (``mlflow``, ``airflow`` …)."""
    path = environment_bin() / name
    if not path.is_file():
        raise StackError(
            f"There is no {path}. Install Medloop with its libraries (in a checkout: make setup)."
        )
    return str(path)


def java() -> str:
    """The Java that runs HDFS and YARN.

    Raises:
        StackError: there is none.
    """
    home = os.environ.get("JAVA_HOME")
    found = shutil.which("java", path=f"{home}/bin" if home else None)
    if found is None:
        where = f"in JAVA_HOME ({home})" if home else "on PATH"
        raise StackError(f"HDFS and Spark need Java 17 or newer; there is none {where}.")
    return found


def java_server(main: str, classpath: str, options: Mapping[str, str]) -> list[str]:
    """The command of a small Hadoop server, configured by its options alone.

    Its heap is bounded, and it is compiled for a quick start rather than for a long race.
    """
    jvm = ("-Xmx256m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-Dlog4j2.level=INFO")
    given = [word for name, value in options.items() for word in ("-D", f"{name}={value}")]
    return [java(), *jvm, "-cp", classpath, main, *given]

"""``python -m serving``: run the service."""

import argparse
import os
import shutil
import sys
from multiprocessing import get_context
from multiprocessing.connection import Connection
from pathlib import Path

from pipelines.errors import MedloopError, StackError
from pipelines.ports import holder, is_free
from pipelines.reach import ip_address
from pipelines.settings import PROJECT, Settings, get_settings
from pipelines.stage import default_context
from serving.access.exposure import Auth, Certificate, auth_for, certificate_of

MEMORY = {
    # What one image needs is kept for the next. By default the C library returns it to the system
    # after each, and fetching it again takes 0.4 ms for a prediction, 1 ms for an overlay.
    "MALLOC_ARENA_MAX": "2",
    "MALLOC_MMAP_THRESHOLD_": str(4 << 20),
    "MALLOC_TRIM_THRESHOLD_": str(8 << 20),
}
"""Environment of the workers; an administrator's own values override it."""


def main() -> None:
    """Run the service until it is told to stop; exits 1 after an error of ours."""
    try:
        run(_parser(get_settings()).parse_args())
    except MedloopError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(1)


def run(options: argparse.Namespace) -> None:
    """Check what was asked for, then serve.

    Everything that can be wrong is tried here first: BentoML would start a worker that fails
    again and again.

    Raises:
        SettingsError: the installation's settings are unusable, or others could reach the
            service and there is no API token.
        BundleError: the pinned bundle is none, or does not answer as it says.
        StackError: the port is taken; the message names who holds it.
    """
    settings = default_context().settings
    auth = auth_for(options.host, settings)
    certificate = certificate_of(settings)
    require_free(options.host, options.port)
    if settings.classic_port is not None:
        require_free_for_classic(options.host, options.port, classic_port=settings.classic_port)
    check = BundleCheck(options, settings.cache) if options.bundle else None
    # BentoML keeps metrics here and wipes them at start: two services must not share it.
    state = settings.home / "service" / f"bentoml-{options.port}"
    os.environ["BENTOML_HOME"] = str(state)
    os.environ["BENTOML_DO_NOT_TRACK"] = "true"
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    for name, value in MEMORY.items():
        os.environ.setdefault(name, value)
    try:
        _serve(options, auth, certificate, check)
    finally:
        shutil.rmtree(state, ignore_errors=True)


class BundleCheck:
    """Opens the pinned bundle in a process of its own, while this one imports BentoML.

    This process, the workers' supervisor, then does without what inference takes: 60 MB.
    """

    def __init__(self, options: argparse.Namespace, cache: Path) -> None:
        context = get_context("fork")  # sooner than a new interpreter; there are no threads yet
        self._result, sender = context.Pipe(duplex=False)
        self._process = context.Process(target=_open_bundle, args=(options, cache, sender))
        self._process.start()
        sender.close()

    def wait(self) -> None:
        """Wait until it is open.

        Raises:
            BundleError: it is not a bundle, or does not answer as it says.
            StackError: the process was killed.
        """
        try:
            error = self._result.recv()
        except EOFError:
            error = StackError("The process that opened the bundle ended before it was done.")
        self._process.join()
        if error:
            raise error


def _open_bundle(options: argparse.Namespace, cache: Path, sender: Connection) -> None:
    from pipelines.release.predictor import open_predictor

    try:
        open_predictor(options.bundle, options.runtime, cache=cache, threads=options.threads)
    except MedloopError as error:
        sender.send(error)
    else:
        sender.send(None)


def require_free(host: str, port: int) -> None:
    """Raises StackError: something listens on the port already."""
    if not is_free(host, port):
        raise StackError(
            f"Port {port} is taken by {holder(port)}. Stop that process, or choose another port "
            "with --port or MEDLOOP_SERVICE_PORT."
        )


def require_free_for_classic(host: str, port: int, *, classic_port: int) -> None:
    """Raises StackError: the second port is taken, or is the first."""
    if classic_port == port:
        raise StackError(f"MEDLOOP_CLASSIC_PORT={classic_port} is the service's own port already.")
    if not is_free(host, classic_port):
        raise StackError(
            f"MEDLOOP_CLASSIC_PORT={classic_port} is taken by {holder(classic_port)}. "
            "Stop that process, or choose another port."
        )


def _serve(
    options: argparse.Namespace,
    auth: Auth,
    certificate: Certificate | None,
    check: BundleCheck | None,
) -> None:
    import bentoml

    import serving.bento  # noqa: F401  # most of what BentoML imports next, while the bundle opens

    if check:
        check.wait()

    arguments = {name: getattr(options, name) for name in ("runtime", "workers", "threads")}
    arguments |= {"host": options.host, "auth": auth}
    if options.bundle:
        arguments["bundle"] = str(options.bundle.absolute())
    bentoml.serve(
        "serving.service:MedloopService",
        working_dir=str(PROJECT),
        host=ip_address(options.host),
        port=options.port,
        blocking=True,
        args=arguments,
        ssl_certfile=str(certificate.cert) if certificate else None,
        ssl_keyfile=str(certificate.key) if certificate else None,
    )


def _parser(settings: Settings) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m serving",
        description="The prediction service: follows each data set's champion in MLflow.",
    )
    add = parser.add_argument
    add("--host", default=settings.host, help="address to listen on (%(default)s)")
    add("--port", type=int, default=settings.service_port, help="port (%(default)s)")
    add("--bundle", type=Path, help="serve this bundle folder and ask no registry")
    add("--workers", type=int, default=1, help="processes (%(default)s)")
    add("--threads", type=int, default=os.cpu_count() or 1, help="per inference (%(default)s)")
    add("--runtime", choices=("openvino", "tensorflow"), default="openvino")
    return parser


if __name__ == "__main__":
    main()

"""The watch's process: a look every few seconds, and a port for Prometheus."""

import logging
import os
import signal
from collections.abc import Callable
from threading import Event

from prometheus_client import CollectorRegistry, start_http_server

from pipelines.alerts.send import send
from pipelines.settings import Settings, get_settings
from stack import revival
from stack.watch.exposition import Exposition
from stack.watch.observation import Observation, observe
from stack.watch.part import HOST
from stack.watch.rounds import Watch
from stack.watch.troubles import SUPERVISOR, down_alert

logger = logging.getLogger("stack.watch")

REVIVAL_SECONDS = 120.0
"""After how long supervisord is started again once more, if it could not be."""


def main(*, host: str = HOST, look: Callable[[Settings], Observation] = observe) -> None:
    """Watch until told to stop. A look that fails is told in the log; the next one comes.

    Args:
        host: where the metrics are served.
        look: asks every part how it is.
    """
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
    logging.getLogger("httpx").setLevel(logging.WARNING)
    settings = get_settings()
    stopped = Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stopped.set())
    exposition = Exposition(settings.metrics)
    registry = CollectorRegistry(auto_describe=False)
    registry.register(exposition)
    start_http_server(settings.watch_port, host, registry)
    watch = Watch(settings, exposition, look)
    supervisord = os.getppid()
    while not stopped.is_set():
        if os.getppid() != supervisord:
            logger.error("supervisord is gone; starting it again")
            revival.begin(settings)
            # Who is revived looks whether it is over.
            send(settings, down_alert(SUPERVISOR, ()))
            # What is brought back is what still runs, the watch included; its successor ends it.
            stopped.wait(REVIVAL_SECONDS)
            continue
        try:
            watch.round()
        except Exception:
            logger.exception("This look failed")
            exposition.miss()
        stopped.wait(settings.watch_seconds)


if __name__ == "__main__":
    main()

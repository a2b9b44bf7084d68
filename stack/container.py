"""One server of the stack in a container of its own: the very command that runs natively.

    python -m stack.container NAME

The name is the server's and, in the containers' network, its host's: the server listens there.
The first server of a part also prepares it (formats the NameNode, migrates a database), at every
start, as the native stack does. Where the others are, ``docker-compose.yml`` says.
"""

import logging
import os
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from urllib.parse import urlsplit

from pipelines import database
from pipelines.errors import DatabaseUnavailable, MedloopError, StackError
from pipelines.settings import Settings, get_settings
from stack import hdfs, spark
from stack.catalog import all_parts
from stack.environment import stack_environment
from stack.part import Part, Process
from stack.room import rooms
from stack.scheduler import API_SERVER
from stack.status import State
from stack.watch import __main__ as watch
from stack.watch.observation import Observation, Standing

MASTER = "spark-master"
DATABASE_SECONDS = 120
"""For which a database that does not answer yet is asked again."""


def main() -> None:
    """Become the server that the argument names; exits 1 after an error of ours."""
    name = sys.argv[1]
    try:
        if name == "watch":
            watch.main(host=name, look=observe)
        else:
            run(name)
    except MedloopError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(1)


def run(name: str) -> None:
    """Prepare a part if this is its first server, then become the server.

    Raises:
        StackError: there is no such server, or its part cannot be prepared.
    """
    settings = settings_in(name)
    part, process = find(settings, name)
    if process is part.processes[0]:
        if "postgres" in part.needs:
            _ensure_database(settings, part.name)
        part.prepare(print)
    os.environ.update({**stack_environment(settings), **process.environment})
    os.execvp(process.command[0], list(process.command))


def settings_in(name: str) -> Settings:
    """The settings within a container: its server listens at its name.

    Airflow's four know each other by the name of their API server.
    """
    host = API_SERVER if name.startswith("airflow-") else name
    return get_settings().model_copy(update={"host": host, "cluster_host": name})


def find(settings: Settings, name: str) -> tuple[Part, Process]:
    """A server and its part.

    Raises:
        StackError: there is no such server.
    """
    for part in parts(settings):
        for process in part.processes:
            if process.name == name:
                return part, process
    raise StackError(f"There is no server {name!r}.")


def parts(settings: Settings) -> list[Part]:
    """Every part, its servers in containers of their own; but for the watch."""
    known = {part.name: part for part in all_parts(settings)}
    namenode = known["hdfs"].processes[0]
    host = urlsplit(settings.webhdfs.split(";")[0]).hostname
    datanode = replace(hdfs.datanode(settings, 0, namenode=host), name="datanode")
    cluster = spark.part(settings)
    return [
        known["postgres"],
        Part("hdfs", [namenode, datanode], prepare=known["hdfs"].prepare),
        Part(
            "spark", [cluster.processes[0], spark.worker(settings, master=MASTER)], cluster.prepare
        ),
        *(known[name] for name in ("mlflow", "airflow", "service", "queue") if name in known),
    ]


def observe(settings: Settings) -> Observation:
    """Ask every server over the network, all at once.

    The engine restarts what ends, so there is no supervisord to be missed.
    """
    names = [(part.name, process.name) for part in parts(settings) for process in part.processes]

    def one(pair: tuple[str, str]) -> Standing:
        part, name = pair
        try:
            obstacle = find(settings_in(name), name)[1].obstacle(0)
        except MedloopError as error:  # its host is unknown while its container is down
            obstacle = str(error)
        state: State = "ready" if obstacle is None else "starting"
        return Standing(part, name, state, obstacle, restarts=0)

    with ThreadPoolExecutor(max_workers=len(names)) as threads:
        standings = tuple(threads.map(one, names))
    return Observation(
        at=time.time(),
        supervised=True,
        changing=False,
        standings=standings,
        rooms=tuple(rooms(settings)),
    )


def _ensure_database(settings: Settings, name: str) -> None:
    """Create a database if it is not there; wait for a server that is just starting.

    Raises:
        DatabaseUnavailable: it does not answer in time.
    """
    until = time.monotonic() + DATABASE_SECONDS
    while True:
        try:
            database.create(settings, name)
            return
        except DatabaseUnavailable:
            if time.monotonic() > until:
                raise
            time.sleep(1)


if __name__ == "__main__":
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
    main()

"""Jobs of a real stack whose parts are killed while they answer: each ends once, none is lost."""

import hmac
import json
import os
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import httpx
import psutil
import psycopg2
import pytest

import stack
from pipelines import database
from pipelines.settings import PROJECT, Settings
from stack.testing import running_stack
from tests.serving.bundles import png
from tests.serving.running import free_port, start, stop, wait_until_ready

SECONDS = 120
"""Far more than anything here takes, on a machine with other work."""
SECRET = "of a test"


class Receiver(ThreadingHTTPServer):
    """Takes notices; refuses the first."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", free_port()), _Take)
        self.taken: list[tuple[str, bytes, dict[str, str]]] = []
        self.refused = 0


class _Take(BaseHTTPRequestHandler):
    server: Receiver

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        is_first = not self.server.refused
        self.server.refused += is_first
        if not is_first:
            headers = {name.lower(): value for name, value in self.headers.items()}
            self.server.taken.append((self.path, body, headers))
        self.send_response(500 if is_first else 200)
        self.end_headers()

    def log_message(self, *_: Any) -> None:
        """Nothing."""


@pytest.fixture(scope="module")
def receiver() -> Iterator[Receiver]:
    with Receiver() as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server
        server.shutdown()


@pytest.fixture(scope="module")
def settings(receiver: Receiver, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Settings]:
    """A stack with PostgreSQL and the queue."""
    folder = tmp_path_factory.mktemp("queue")
    secret = folder / "secret"
    secret.write_text(SECRET)
    with running_stack(
        ["queue"],
        home=folder / "home",
        queue_at_once=1,
        queue_webhook_origins=f"http://127.0.0.1:{receiver.server_port}",
        queue_webhook_secret_file=secret,
    ) as settings:
        database.query(settings, HOLD, database="queue")
        yield settings


@pytest.fixture(scope="module")
def http(settings: Settings, bundle: Path) -> Iterator[httpx.Client]:
    """The real service of that stack."""
    process = start(
        settings.home,
        *("--port", str(settings.service_port), "--bundle", str(bundle)),
        queue_webhook_origins=settings.queue_webhook_origins,
        queue_webhook_secret_file=settings.queue_webhook_secret_file,
    )
    try:
        with httpx.Client(base_url=settings.service, timeout=30, trust_env=False) as http:
            wait_until_ready(http, process, settings.home)
            yield http
    finally:
        stop(process)


def submit(http: httpx.Client, image: bytes, **fields: str) -> str:
    reply = http.post("/jobs", files={"image": image}, data=fields)
    assert reply.status_code == 202, reply.text
    return str(reply.json()["id"])


def await_true(what: Callable[[], bool]) -> None:
    """Wait until something holds; what is asked may be away meanwhile."""
    deadline = time.monotonic() + SECONDS
    while True:
        try:
            if what():
                return
        except httpx.TransportError:
            pass
        assert time.monotonic() < deadline
        time.sleep(0.1)


def has_ended(http: httpx.Client, job: str) -> bool:
    reply = http.get(f"/jobs/{job}")
    return reply.status_code == 200 and reply.json()["ended"] is not None


HOLD = """
CREATE FUNCTION hold() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN PERFORM pg_advisory_xact_lock_shared(NEW.urgent::integer); RETURN NEW; END $$;
CREATE TRIGGER hold BEFORE UPDATE ON jobs FOR EACH ROW WHEN (NEW.status = 'done')
EXECUTE FUNCTION hold();
"""
"""An answer is stored only while nobody holds the lock 0, that of an urgent job the lock 1."""


@contextmanager
def held(settings: Settings, *, urgent: bool = False) -> Iterator[None]:
    """No answer of the kind can be stored: a job that has one stays ``running``."""
    connection = psycopg2.connect(host=database.host(settings), user="postgres", dbname="queue")
    try:
        connection.cursor().execute("SELECT pg_advisory_lock(%s)", [int(urgent)])
        yield
    finally:
        connection.close()


def await_held(settings: Settings) -> None:
    """Wait until the service has an answer, and cannot store it."""
    sql = "SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'advisory'"
    await_true(lambda: int(database.query(settings, sql)) > 0)


@pytest.mark.parametrize("part", ["queue", "service", "postgres"])
def test_a_job_survives_the_death_of_any_part_in_the_middle_of_it(
    part: str, settings: Settings, http: httpx.Client
) -> None:
    worker = next(p for p in stack.status(settings) if p.name == "queue").pid
    assert worker is not None
    postmaster = settings.home / "postgres" / "data" / "postmaster.pid"
    os.kill(worker, signal.SIGSTOP)  # until all jobs wait
    try:
        images = [png(number) for number in range(4)]
        jobs = [submit(http, image) for image in images]
        with held(settings):
            os.kill(worker, signal.SIGCONT)
            await_held(settings)
            victims = {
                "queue": worker,
                "service": http.get("/model").json()["pid"],
                "postgres": int(postmaster.read_text().splitlines()[0]),
            }
            psutil.Process(victims[part]).kill()
    finally:
        if psutil.pid_exists(worker):
            os.kill(worker, signal.SIGCONT)
    for job in jobs:
        await_true(partial(has_ended, http, job))
    ended = [http.get(f"/jobs/{job}").json() for job in jobs]
    results = [http.get(f"/jobs/{job}/result").json() for job in jobs]
    assert [job["status"] for job in ended] == ["done"] * len(jobs)
    for image, job, result in zip(images, jobs, results, strict=True):
        direct = http.post("/predict", files={"image": image}).json()
        assert result == direct | {"request_id": job}
    # PgQueuer's entries are gone too: nothing is answered again
    left = "SELECT count(*) FROM pgqueuer WHERE entrypoint <> 'notify'"
    await_true(lambda: database.query(settings, left, database="queue") == "0")
    assert [http.get(f"/jobs/{job}").json() for job in jobs] == ended
    assert database.query(settings, "SELECT count(image) FROM jobs", database="queue") == "0"


@pytest.mark.parametrize("urgent", [True, False])
def test_urgent_jobs_do_not_wait_for_normal_ones_which_do_not_starve(
    urgent: bool, settings: Settings, http: httpx.Client
) -> None:
    flag = {True: "true", False: "false"}
    with held(settings, urgent=not urgent):
        others = [submit(http, png(), urgent=flag[not urgent]) for _ in range(3)]
        await_held(settings)
        job = submit(http, png(), urgent=flag[urgent])
        await_true(partial(has_ended, http, job))
        assert not any(has_ended(http, other) for other in others)
    for other in others:
        await_true(partial(has_ended, http, other))


def test_the_commands_of_the_page_do_what_it_says(
    settings: Settings, http: httpx.Client, tmp_path: Path
) -> None:
    page = (PROJECT / "docs" / "queue.md").read_text("utf-8")
    commands = [line for line in page.splitlines() if line.startswith("curl ")]
    (tmp_path / "scan.png").write_bytes(png())
    environment = os.environ | {"JOB": ""}
    statuses = []
    for command in commands:
        if command.endswith("/result"):
            await_true(partial(has_ended, http, environment["JOB"]))
        here = command.replace("http://127.0.0.1:3000", settings.service)
        reply = subprocess.run(
            f"{here} --silent --show-error --noproxy '*' --write-out '\n%{{http_code}}'",
            shell=True,
            cwd=tmp_path,
            env=environment,
            capture_output=True,
            text=True,
            check=True,
        )
        body, _, status = reply.stdout.rpartition("\n")
        environment["JOB"] = json.loads(body).get("id", environment["JOB"])
        statuses.append(int(status))
    assert statuses == [202, 200, 200, 200, 202, 202, 202]


def test_a_notice_is_signed_sent_again_and_tells_nothing_else(
    http: httpx.Client, receiver: Receiver
) -> None:
    url = f"http://127.0.0.1:{receiver.server_port}/ended"
    job = submit(http, png(), notify=url)
    await_true(lambda: len(receiver.taken) == 1)
    assert receiver.refused == 1
    ((path, body, headers),) = receiver.taken
    assert (path, body) == ("/ended", b'{"job": "%s", "status": "done"}' % job.encode())
    stamp = headers["x-medloop-timestamp"]
    signed = hmac.new(SECRET.encode(), f"{stamp}.".encode() + body, "sha256").hexdigest()
    assert headers["x-medloop-signature"] == f"sha256={signed}"

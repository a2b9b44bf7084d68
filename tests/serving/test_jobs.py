"""Jobs: submitted, answered once, removed; in this process, on a real PostgreSQL."""

import hashlib
import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient

from pipelines import database
from pipelines.access.store import add_token
from pipelines.access.tokens import Role, mint
from pipelines.audit.entries import ANSWERS, JOBS, REFUSALS, audit_folder
from pipelines.audit.trace import trace
from pipelines.erasure.erase import Asked, Erasure
from pipelines.errors import NotFound
from pipelines.jobs.table import Jobs
from pipelines.jobs.webhook import is_allowed
from pipelines.release.predictor import Predictor
from pipelines.settings import Settings
from pipelines.spec import load_spec
from pipelines.stage import Context
from pipelines.storage.local import LocalStore
from serving.access.permissions import guard_of
from serving.app import build_app
from serving.champions import Champions
from serving.executor import InferenceExecutor
from serving.image_request import Backend
from serving.uploads import Limits
from stack import queue
from stack.testing import running_stack
from tests.serving.bundles import png
from tests.serving.conftest import HERE

Submit = Callable[..., dict[str, Any]]


@pytest.fixture(scope="module")
def postgres(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Settings]:
    """A real PostgreSQL with the queue's tables, and nothing that works the queue off."""
    with running_stack(["postgres"], home=tmp_path_factory.mktemp("jobs")) as settings:
        queue.part(settings).prepare(lambda _: None)
        yield settings


@pytest.fixture
def settings(postgres: Settings) -> Settings:
    """With an empty queue."""
    database.query(postgres, "TRUNCATE jobs, pgqueuer", database="queue")
    return postgres


@contextmanager
def serving(
    settings: Settings, predictor: Predictor | None = None, *, tokens: bool = False
) -> Iterator[TestClient]:
    """The application, with a queue and a champion if there is one."""
    champions = Champions()
    if predictor:
        champions.take(predictor)
    executor = InferenceExecutor(2)
    guard = guard_of(settings, tokens=tokens)
    guard.audit.start()
    backend = Backend(
        champions,
        executor,
        Limits(body_bytes=200_000),
        observers=(guard.audit.note_answer,),
        jobs=Jobs(settings),
    )
    with TestClient(build_app(guard, backend), base_url=HERE) as client:
        yield client
        assert backend.jobs
        assert client.portal
        client.portal.call(backend.jobs.close)
    executor.close()
    guard.audit.stop()


@pytest.fixture
def client(settings: Settings, predictor: Predictor) -> Iterator[TestClient]:
    with serving(settings, predictor) as client:
        yield client


def submit(client: TestClient, image: bytes | None = None, **fields: str) -> dict[str, Any]:
    reply = client.post("/jobs", files={"image": image or png()}, data=fields)
    assert reply.status_code == 202, reply.text
    job: dict[str, Any] = reply.json()
    assert reply.headers["Location"] == f"/jobs/{job['id']}"
    return job


def answer(client: TestClient, job: dict[str, Any]) -> int:
    """What the process that works the queue off does."""
    return int(client.post(f"/jobs/{job['id']}/answer").status_code)


def stored(settings: Settings, columns: str) -> str:
    return database.query(settings, f"SELECT {columns} FROM jobs", database="queue")


def lines(settings: Settings, name: str) -> list[dict[str, Any]]:
    text = (audit_folder(settings) / name).read_text("utf-8")
    return [json.loads(line) for line in text.splitlines()]


def test_a_job_waits_is_answered_as_predict_answers_and_its_image_is_gone(
    client: TestClient, settings: Settings
) -> None:
    image = png(7)
    job = submit(client, image)
    assert (job["status"], job["ended"], job["kept_until"]) == ("waiting", None, None)
    assert job["sha256"] == hashlib.sha256(image).hexdigest()
    early = client.get(f"/jobs/{job['id']}/result")
    assert (early.status_code, early.json()["error"]["code"]) == (409, "not_ended")
    assert early.headers["Retry-After"] == "2"
    assert stored(settings, "length(image)") == str(len(image))

    assert answer(client, job) == 204

    assert client.get(f"/jobs/{job['id']}").json()["status"] == "done"
    result = client.get(f"/jobs/{job['id']}/result").json()
    direct = client.post("/predict", files={"image": image}).json()
    assert result == direct | {"request_id": job["id"]}
    assert stored(settings, "image IS NULL") == "t"


def test_an_explanation_takes_its_fields(client: TestClient) -> None:
    job = submit(client, task="explain", target="spot", original="true")
    assert answer(client, job) == 204
    result = client.get(f"/jobs/{job['id']}/result").json()
    fields = {"target": "spot", "original": "true"}
    direct = client.post("/explain", files={"image": png()}, data=fields).json()
    assert result["prediction"].pop("request_id") == job["id"]
    del direct["prediction"]["request_id"]
    assert result == direct


def test_an_image_that_is_no_image_fails_as_predict_refuses_it(
    client: TestClient, settings: Settings
) -> None:
    job = submit(client, b"not an image")
    assert answer(client, job) == 204
    refused = client.post("/predict", files={"image": b"not an image"})
    result = client.get(f"/jobs/{job['id']}/result")
    assert result.status_code == refused.status_code == 415
    assert result.json()["error"] == refused.json()["error"]
    status = client.get(f"/jobs/{job['id']}").json()
    assert (status["status"], status["error"]) == ("failed", refused.json()["error"])
    assert stored(settings, "image IS NULL") == "t"


def test_the_audit_log_tells_who_had_what_answered(
    settings: Settings, predictor: Predictor
) -> None:
    headers = token(settings, "ward-7", Role.PREDICT)
    own = token(settings, "own", Role.ADMIN)
    with serving(settings, predictor, tokens=True) as client:
        client.headers = headers
        good, bad = submit(client, png(1)), submit(client, b"none")
        for job in good, bad:
            assert client.post(f"/jobs/{job['id']}/answer", headers=own).status_code == 204
        client.delete(f"/jobs/{bad['id']}")
    context = Context(settings, LocalStore(settings.home / "none"))
    traced = trace(context, bad["id"])
    assert [job.event for job in traced.jobs] == ["submitted", "deleted"]
    assert [refusal.code for refusal in traced.refusals] == ["unknown_format"]
    events = [(e["job"], e["event"], e["token"]) for e in lines(settings, JOBS)][-3:]
    assert events == [
        (good["id"], "submitted", "ward-7"),
        (bad["id"], "submitted", "ward-7"),
        (bad["id"], "deleted", "ward-7"),
    ]
    answered, refused = lines(settings, ANSWERS)[-1], lines(settings, REFUSALS)[-1]
    assert (answered["request_id"], answered["token"]) == (good["id"], "ward-7")
    assert (answered["path"], answered["sha256"]) == ("/jobs", good["sha256"])
    assert (refused["request_id"], refused["token"]) == (bad["id"], "ward-7"), refused
    assert refused["code"] == "unknown_format"


def token(settings: Settings, name: str, role: Role) -> dict[str, str]:
    """The header of a new token."""
    minted, text = mint(name, role)
    add_token(settings, minted)
    return {"Authorization": f"Bearer {text}"}


def test_only_its_owner_and_administrators_see_a_job(settings: Settings) -> None:
    one, other, admin = (
        token(settings, name, role)
        for name, role in (("a", Role.PREDICT), ("b", Role.PREDICT), ("c", Role.ADMIN))
    )
    with serving(settings, tokens=True) as client:
        job = client.post("/jobs", files={"image": png()}, headers=one).json()
        for path in f"/jobs/{job['id']}", f"/jobs/{job['id']}/result":
            assert client.get(path, headers=other).json()["error"]["code"] == "unknown_job"
        assert client.delete(f"/jobs/{job['id']}", headers=other).status_code == 404
        assert client.post(f"/jobs/{job['id']}/answer", headers=one).status_code == 403
        for who in one, admin:
            assert client.get(f"/jobs/{job['id']}", headers=who).json()["id"] == job["id"]
        assert client.delete(f"/jobs/{job['id']}", headers=admin).status_code == 200


def test_a_job_sent_again_under_its_key_is_the_same_job(
    client: TestClient, settings: Settings
) -> None:
    first, again = submit(client, key="study-1"), submit(client, key="study-1")
    assert first["id"] == again["id"]
    assert stored(settings, "count(*)") == "1"
    taken = client.post("/jobs", files={"image": png(9)}, data={"key": "study-1"})
    assert (taken.status_code, taken.json()["error"]["code"]) == (409, "key_taken")


@pytest.mark.parametrize("when", ["waiting", "running", "done"])
def test_a_deleted_job_leaves_nothing_and_is_not_answered(
    when: str, client: TestClient, settings: Settings
) -> None:
    job = submit(client)
    if when == "running":
        assert client.portal
        client.portal.call(jobs_of(client).begin, job["id"])
    if when == "done":
        answer(client, job)
    assert client.delete(f"/jobs/{job['id']}").json()["status"] == when
    assert stored(settings, "count(*)") == "0"
    assert answer(client, job) == 204
    for path in f"/jobs/{job['id']}", f"/jobs/{job['id']}/result":
        assert client.get(path).status_code == 404
    assert stored(settings, "count(*)") == "0"


def jobs_of(client: TestClient) -> Jobs:
    jobs: Jobs = client.app.state.backend.jobs  # type: ignore[attr-defined]
    return jobs


def test_a_job_ends_once_whoever_answers_it_twice(client: TestClient) -> None:
    job, jobs = submit(client)["id"], jobs_of(client)
    portal = client.portal
    assert portal
    assert portal.call(jobs.begin, job) is not None
    assert portal.call(jobs.begin, job) is not None, "the first one's process was killed"
    assert portal.call(jobs.finish, job, '{"of": "the second"}')
    before = client.get(f"/jobs/{job}").json()
    assert not portal.call(jobs.finish, job, '{"of": "the first"}')
    portal.call(jobs.put_back, job)
    assert portal.call(jobs.begin, job) is None
    assert client.get(f"/jobs/{job}").json() == before
    assert client.get(f"/jobs/{job}/result").json() == {"of": "the second"}


def test_a_job_waits_for_a_champion_and_that_is_no_attempt(
    settings: Settings, predictor: Predictor
) -> None:
    with serving(settings) as client:
        job = submit(client)
        assert [answer(client, job) for _ in range(7)] == [503] * 7
        assert client.get(f"/jobs/{job['id']}").json()["status"] == "waiting"
        client.app.state.backend.champions.take(predictor)  # type: ignore[attr-defined]
        assert answer(client, job) == 204
        assert client.get(f"/jobs/{job['id']}").json()["status"] == "done"


def test_an_image_that_ends_the_service_each_time_is_given_up(client: TestClient) -> None:
    job = submit(client)
    assert client.portal
    for _ in range(5):  # each time the process was killed before it answered
        client.portal.call(jobs_of(client).begin, job["id"])
    assert answer(client, job) == 204
    assert client.get(f"/jobs/{job['id']}").json()["error"]["code"] == "given_up"


@pytest.mark.parametrize("fields", [{"queue_jobs": 2}, {"queue_megabytes": 0.009}])
def test_more_than_may_wait_is_refused(fields: dict[str, Any], settings: Settings) -> None:
    assert 2 * len(png()) < 9_000 < 3 * len(png())
    with serving(settings.model_copy(update=fields)) as client:
        jobs = [submit(client, key=f"{n}") for n in range(2)]
        full = client.post("/jobs", files={"image": png()})
        assert (full.status_code, full.json()["error"]["code"]) == (503, "queue_full")
        assert full.headers["Retry-After"] == "60"
        assert submit(client, key="1")["id"] == jobs[1]["id"], "it waits already"
        client.delete(f"/jobs/{jobs[0]['id']}")
        submit(client)


def test_what_waits_too_long_expires_and_what_ended_is_removed(settings: Settings) -> None:
    with serving(settings) as client:
        job, jobs = submit(client), jobs_of(client)
        assert client.portal
        client.portal.call(jobs.sweep)
        assert client.get(f"/jobs/{job['id']}").json()["status"] == "waiting"
        assert client.portal.call(jobs.figures).waiting == 1

        past = "UPDATE jobs SET submitted = submitted - interval '25 hours'"
        database.query(settings, past, database="queue")
        client.portal.call(jobs.sweep)
        expired = client.get(f"/jobs/{job['id']}/result")
        assert (expired.status_code, expired.json()["error"]["code"]) == (410, "expired")
        assert stored(settings, "image IS NULL") == "t"
        assert client.portal.call(jobs.figures).kept == {"expired": 1}

        past = "UPDATE jobs SET ended = ended - interval '25 hours'"
        database.query(settings, past, database="queue")
        client.portal.call(jobs.sweep)
        assert client.get(f"/jobs/{job['id']}").status_code == 404


def test_a_job_that_the_library_has_lost_is_given_to_it_again(
    client: TestClient, settings: Settings
) -> None:
    submit(client)
    lose = "TRUNCATE pgqueuer; UPDATE jobs SET submitted = submitted - interval '2 minutes'"
    database.query(settings, lose, database="queue")
    assert client.portal
    for _ in range(2):
        client.portal.call(jobs_of(client).sweep)
        entries = "SELECT entrypoint, convert_from(payload, 'UTF8') = jobs.id FROM pgqueuer, jobs"
        assert database.query(settings, entries, database="queue") == "normal|t"


def test_an_installation_without_postgresql_says_what_to_set(client: TestClient) -> None:
    jobs = jobs_of(client)
    jobs.settings = jobs.settings.model_copy(update={"home": jobs.settings.home / "elsewhere"})
    reply = client.post("/jobs", files={"image": png()})
    assert (reply.status_code, reply.json()["error"]["code"]) == (404, "no_queue")
    for word in "MEDLOOP_QUEUE", "medloop stack up", "MEDLOOP_DATABASE_HOST":
        assert word in reply.json()["error"]["message"]


def test_a_database_that_does_not_answer_is_a_503(settings: Settings) -> None:
    nowhere = settings.model_copy(update={"database_host": "127.0.0.1"})
    with serving(nowhere) as client:
        reply = client.get("/jobs/1")
    assert (reply.status_code, reply.json()["error"]["code"]) == (503, "queue_unavailable")


def test_an_erasure_removes_the_jobs_of_an_image_waiting_and_ended(
    client: TestClient, settings: Settings, tmp_path: Path
) -> None:
    hers, other = png(1), png(2)
    ended = submit(client, hers)
    answer(client, ended)
    for image in hers, other:
        submit(client, image)
    context = Context(settings, LocalStore(tmp_path))
    asked = Asked("image", hashlib.sha256(hers).hexdigest(), "Ticket 88")

    certificate = Erasure(load_spec("phantom"), context, asked, mlflow=False).run()

    assert certificate.images == 1
    removed = {one.place: one.count for one in certificate.removed}
    assert removed["postgres:queue"] == 2
    assert stored(settings, "sha256") == hashlib.sha256(other).hexdigest()
    assert client.get(f"/jobs/{ended['id']}/result").status_code == 404
    with pytest.raises(NotFound):
        Erasure(load_spec("phantom"), context, asked, mlflow=False).plan()


@pytest.mark.parametrize(
    ("url", "allowed"),
    [
        ("https://ris.example.org/hook?job=1", True),
        ("https://ris.example.org:443/hook", False),
        ("http://ris.example.org/hook", False),
        ("https://ris.example.org@10.0.0.1/hook", False),
        ("https://ris.example.org\\@10.0.0.1/hook", False),
        ("https://ris.example.org.evil.org/", False),
        ("https://10.0.0.1/", False),
        ("file:///etc/passwd", False),
        ("https://ris.example.org:port/", False),
        ("", False),
    ],
)
def test_a_notice_goes_to_origins_of_the_setting_only(
    url: str, allowed: bool, settings: Settings
) -> None:
    origins = {"queue_webhook_origins": "https://ris.example.org"}
    assert is_allowed(settings.model_copy(update=origins), url) is allowed


def test_a_job_that_names_another_origin_is_refused(client: TestClient) -> None:
    fields = {"notify": "http://169.254.169.254/latest/meta-data"}
    reply = client.post("/jobs", files={"image": png()}, data=fields)
    assert (reply.status_code, reply.json()["error"]["code"]) == (422, "notify_not_allowed")

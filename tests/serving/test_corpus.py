"""Hundreds of broken and odd files at the real service: none is a crash, each has its answer."""

import httpx
import psutil

from tests.serving.bundles import png
from tests.serving.corpus import WHOLE, Case, cases

ROUTES = ("/predict", "/gradcam", "/explain")
GROWTH = 150 * 2**20
"""Bytes the process may grow by: less than any of the bombs unpacked."""


def test_every_file_is_answered_or_refused_with_a_reason(http: httpx.Client) -> None:
    process = psutil.Process(http.get("/model").json()["pid"])
    before, good = process.memory_info().rss, _probabilities(_send(http, png()))
    for number, case in enumerate(CASES):
        reply = _send(http, case.data, path=ROUTES[number % len(ROUTES)])
        _assert_in_order(http, case, reply)
        assert _probabilities(_send(http, png())) == good, f"after {case.name}"
    assert http.get("/model").json()["pid"] == process.pid
    assert process.memory_info().rss - before < GROWTH


def test_every_whole_file_is_answered(http: httpx.Client) -> None:
    for name, (_, data) in WHOLE.items():
        assert _send(http, data).status_code == 200, name


def test_many_broken_files_in_one_batch_do_not_spoil_the_good_one(http: httpx.Client) -> None:
    broken = [case for case in CASES if case.codes][:31]
    files = [("image", case.data) for case in broken] + [("image", png())]
    *refused, good = http.post("/predict/batch", files=files).json()["results"]
    for case, result in zip(broken, refused, strict=True):
        assert case.codes is not None
        assert result["error"]["code"] in case.codes, case.name
    assert good["prediction"]


def test_the_corpus_is_as_large_as_it_is_said_to_be() -> None:
    assert len(CASES) > 500
    assert len({case.name for case in CASES}) == len(CASES)


CASES = cases()


def _assert_in_order(http: httpx.Client, case: Case, reply: httpx.Response) -> None:
    said = f"{case.name}: {reply.status_code} {reply.content[:200]!r}"
    if reply.status_code == 200:
        assert not case.codes, said
        if case.same_as is not None:
            whole = _probabilities(_send(http, case.same_as))
            assert _probabilities(_send(http, case.data)) == whole, said
        return
    assert 400 <= reply.status_code < 500, said
    error = reply.json()["error"]
    assert len(error["message"]) > 10, said
    if case.codes is not None:
        assert error["code"] in case.codes, said


def _send(http: httpx.Client, data: bytes, *, path: str = "/predict") -> httpx.Response:
    return http.post(path, content=data, headers={"Content-Type": "application/octet-stream"})


def _probabilities(reply: httpx.Response) -> dict[str, float]:
    assert reply.status_code == 200, reply.text
    probabilities: dict[str, float] = reply.json()["probabilities"]
    return probabilities

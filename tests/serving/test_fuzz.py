"""Requests made up from the OpenAPI document; `make fuzz-service` sends ten thousand."""

from pathlib import Path

from benchmarks.fuzz import fuzz
from benchmarks.fuzz_service import claims, good_question
from tests.serving.running import running_service

REQUESTS = 200


def test_made_up_requests_are_answered_as_the_document_says(bundle: Path, tmp_path: Path) -> None:
    with running_service(tmp_path, "--bundle", str(bundle)) as http:
        pid = http.get("/model").json()["pid"]
        url = str(http.base_url).rstrip("/")
        found = fuzz(url, examples=REQUESTS, number=7, good=good_question(http))
        same = http.get("/model").json()["pid"] == pid
    assert [claim for claim in claims(found, same) if not claim.holds] == [], found.faults[:3]
    assert found.requests >= REQUESTS
    assert set(found.statuses) >= {200, 400, 415, 422}

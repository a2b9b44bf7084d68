"""Requests made up from the OpenAPI document; `make fuzz-service` sends ten thousand."""

import httpx

from benchmarks.fuzz import fuzz
from benchmarks.fuzz_service import claims, good_question

REQUESTS = 200


def test_made_up_requests_are_answered_as_the_document_says(http: httpx.Client) -> None:
    pid = http.get("/model").json()["pid"]
    url = str(http.base_url).rstrip("/")
    found = fuzz(url, examples=REQUESTS, number=7, good=good_question(http))
    same = http.get("/model").json()["pid"] == pid
    assert [claim for claim in claims(found, same) if not claim.holds] == [], found.faults[:3]
    assert found.requests >= REQUESTS
    assert set(found.statuses) >= {200, 400, 415, 422}

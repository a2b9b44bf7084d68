"""Requests made up from the service's own OpenAPI document, sound and unsound, and their answers.

What stands in an image field is now and then a file of the tests' corpus: bytes at random would
hardly ever get past the first check.
"""

from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

import requests
import schemathesis
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st
from hypothesis.errors import Unsatisfiable
from schemathesis import Case, GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.core.failures import FailureGroup
from schemathesis.core.result import Ok
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from tests.serving.corpus import cases

CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_schema_conformance,
]
MOST_TOLD = 2_000
"""Characters kept of a fault."""
MODES = (GenerationMode.POSITIVE, GenerationMode.NEGATIVE)


@dataclass
class Found:
    """What came of it."""

    requests: int = 0
    statuses: Counter[int] = field(default_factory=Counter)
    faults: list[str] = field(default_factory=list)
    """Of each fault its text: the operation, what was expected, how to send it again."""


def fuzz(
    url: str,
    *,
    examples: int,
    number: int = 0,
    good: Callable[[], None] = lambda: None,
    progress: Callable[[int], None] = lambda _: None,
) -> Found:
    """Send requests of every operation, half of them against the document.

    Args:
        url: of the running service.
        examples: how many requests, about.
        number: another one, other requests.
        good: asks a good question after each; raises where it is not answered right.
        progress: told of each request.
    """
    files = [case.data for case in cases()]
    schemathesis.openapi.format("binary", st.sampled_from(files) | st.binary(max_size=2000))
    schemathesis.openapi.media_type("image/*", st.sampled_from(files) | st.binary(max_size=2000))
    schema = schemathesis.openapi.from_url(f"{url}/docs.json")
    operations = [result.ok() for result in schema.get_all_operations() if isinstance(result, Ok)]
    found = Found()
    each = 1 + examples // (len(MODES) * sum(bool(operation.body) for operation in operations))
    with requests.Session() as session:
        session.trust_env = False

        def send(case: Case[Any]) -> None:
            reply = case.call(base_url=url, session=session, timeout=30)
            found.requests += 1
            found.statuses[reply.status_code] += 1
            progress(1)
            try:
                case.validate_response(reply, checks=CHECKS)
            except FailureGroup as fault:
                found.faults.append(str(fault)[:MOST_TOLD])
            good()

        for operation in operations:
            for mode in MODES:
                strategy = operation.as_strategy(generation_mode=mode)
                asked = st.builds(_simpler, strategy, st.booleans())
                _play(send, asked, examples=each, number=number)
    return found


def _simpler(case: Case[Any], chosen: bool) -> Case[Any]:
    """Half of the questions go without the fields that hardly any text is right for."""
    if chosen:
        for fields in (case.query, case.body):
            if isinstance(fields, dict):
                for name in ("dataset", "target"):
                    fields.pop(name, None)
    return case


def _play(
    send: Callable[[Case[Any]], None],
    strategy: st.SearchStrategy[Case[Any]],
    *,
    examples: int,
    number: int,
) -> None:
    play = settings(
        max_examples=examples,
        database=None,
        deadline=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )(given(strategy)(send))
    with suppress(Unsatisfiable):  # a question without fields cannot be asked wrongly
        seed(number)(play)()

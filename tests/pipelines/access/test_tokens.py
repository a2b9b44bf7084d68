"""Tokens: what is handed out, what is kept, and what opens."""

from datetime import timedelta

import pytest
from pydantic import ValidationError

from pipelines.access.tokens import Role, mint, parse


def test_what_is_kept_holds_nothing_of_the_secret() -> None:
    token, text = mint("viewer", Role.PREDICT)
    presented = parse(text)
    assert presented is not None
    assert presented.id == token.id
    assert presented.secret not in token.model_dump_json()
    assert presented.secret not in repr(presented)


def test_a_token_is_known_by_its_secret_alone() -> None:
    token, text = mint("viewer", Role.PREDICT)
    _, other = mint("viewer", Role.PREDICT)
    mine, another = parse(text), parse(other)
    assert mine is not None
    assert another is not None
    assert token.has_secret(mine.secret)
    assert not token.has_secret(another.secret)
    assert not token.has_secret("")


@pytest.mark.parametrize(
    "text", ["", "medloop_", "medloop_0_0", "Bearer x", "medloop_" + "g" * 12 + "_" + "a" * 43]
)
def test_what_has_not_the_form_of_a_token_is_none(text: str) -> None:
    assert parse(text) is None


def test_a_token_opens_until_it_expires_or_is_revoked() -> None:
    token, _ = mint("viewer", Role.PREDICT, lifetime=timedelta(hours=1))
    assert token.expires_at is not None
    just_before = token.expires_at - timedelta(seconds=1)
    revoked = token.model_copy(update={"revoked_at": token.created_at})
    assert token.state(just_before) == "active"
    assert token.state(token.expires_at) == "expired"
    assert revoked.state(just_before) == "revoked"


@pytest.mark.parametrize(
    ("role", "other", "includes"),
    [
        (Role.PREDICT, Role.PREDICT, True),
        (Role.PREDICT, Role.UPLOAD, False),
        (Role.UPLOAD, Role.PREDICT, False),
        (Role.ADMIN, Role.UPLOAD, True),
        (Role.ADMIN, Role.METRICS, True),
        (Role.METRICS, Role.PREDICT, False),
        (Role.METRICS, Role.ADMIN, False),
        (Role.PREDICT, Role.ADMIN, False),
    ],
)
def test_only_administrators_may_do_what_others_may(
    role: Role, other: Role, includes: bool
) -> None:
    assert role.includes(other) is includes


@pytest.mark.parametrize("name", ["", "Viewer", "a b", "-x", "a" * 65, "line\nbreak"])
def test_a_name_that_would_confuse_the_log_is_refused(name: str) -> None:
    with pytest.raises(ValidationError):
        mint(name, Role.PREDICT)

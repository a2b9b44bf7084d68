"""How many lines of refusals are written, and what is known of the rest."""

from pipelines.audit.entries import RefusedEntry
from serving.records.audit import Budget


def refused(number: int, *, code: str = "token_needed") -> RefusedEntry:
    """A refusal by its number."""
    return RefusedEntry(
        request_id=f"{number:016x}",
        token=None,
        address=f"192.0.2.{number % 256}",
        path="other",
        milliseconds=1,
        status=401,
        code=code,
    )


def test_the_first_of_a_minute_have_their_lines_and_the_rest_share_one_for_each_code() -> None:
    now = [100.0]
    budget = Budget(3, clock=lambda: now[0])
    written = [entry for n in range(1000) for entry in budget.add(refused(n))]
    written += budget.add(refused(1000, code="token_revoked"))
    assert [entry.count for entry in written] == [1, 1, 1]
    before = budget.is_due
    now[0] += 60
    assert (before, budget.is_due) == (False, True)
    next_minute = budget.add(refused(1001))
    counts = [(e.code, e.count, e.request_id) for e in next_minute]
    assert counts == [
        ("token_needed", 997, f"{999:016x}"),
        ("token_revoked", 1, f"{1000:016x}"),
        ("token_needed", 1, f"{1001:016x}"),
    ]
    assert budget.flush() == []

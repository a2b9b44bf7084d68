"""Turns the result of an expectation into a sentence: expected, found, and where."""

from collections import Counter
from typing import Any

EXAMPLES = 5
"""Most rows that a sentence names; Data Docs has all of them."""
FEW_VALUES = 5
"""Most distinct values to count; with more, each row is listed."""

UnexpectedRow = dict[str, Any]
"""A row that breaks an expectation: its names, and the validated values."""


def sentence(finding: dict[str, Any]) -> str:
    """The sentence for an unmet expectation.

    Args:
        finding: result of an expectation, as JSON from Great Expectations.
    """
    return f"{expected(finding)}; found {_found(finding)}."


def expected(finding: dict[str, Any]) -> str:
    """The description of the expectation, from the suite."""
    return str(finding["expectation_config"]["description"])


def is_warning(finding: dict[str, Any]) -> bool:
    """Whether the expectation is a warning."""
    return bool(finding["expectation_config"].get("severity") == "warning")


def stops(finding: dict[str, Any]) -> bool:
    """Whether an unmet expectation stops the run."""
    return not finding["success"] and not is_warning(finding)


def _found(finding: dict[str, Any]) -> str:
    result = finding["result"]
    if not result:
        return f"an error: {_error(finding['exception_info'])}"
    if result.get("unexpected_count"):
        return _rows(result)
    if "partial_missing_list" in result:
        return f"none of {', '.join(sorted(result['partial_missing_list']))}"
    value = result.get("observed_value")
    return "no values" if value is None else _plain(value)


def _error(info: dict[str, Any]) -> str:
    """The message in one exception info, or in the first of several."""
    if "exception_message" in info:
        return str(info["exception_message"])
    return _error(next(iter(info.values())))


def _rows(result: dict[str, Any]) -> str:
    count, total = result["unexpected_count"], result["element_count"]
    rows: list[UnexpectedRow] = result.get("unexpected_index_list") or []
    counts = Counter(values_of_row for row in rows if (values_of_row := _values(row)))
    has_few_values = len(counts) <= FEW_VALUES
    values = (
        [f"{n:,} x {values_of_row}" for values_of_row, n in counts.most_common()]
        if has_few_values
        else []
    )
    named = [_name(row) if has_few_values else _name_and_values(row) for row in rows[:EXAMPLES]]
    more = [f"and {len(rows) - EXAMPLES:,} more"] if len(rows) > EXAMPLES else []
    share = ", ".join([f"{count / total:.1%}", *values])
    return f"{count:,} of {total:,} that break it ({share}): {', '.join(named + more)}"


def _name(row: UnexpectedRow) -> str:
    return str(row.get("source_path") or row.get("part"))


def _name_and_values(row: UnexpectedRow) -> str:
    return f"{_name(row)} ({_values(row)})"


def _values(row: UnexpectedRow) -> str:
    """The validated values of a row; empty if there are none."""
    judged = {key: value for key, value in row.items() if key not in ("source_path", "part")}
    texts = [_plain(value) for value in judged.values()]
    return " / ".join(texts) if any(value is not None for value in judged.values()) else ""


def _plain(value: Any) -> str:
    if value is None:
        return "none"
    return f"{value:,.6g}" if isinstance(value, float) else str(value)

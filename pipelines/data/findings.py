"""What an expectation found, said in a sentence: what was expected, what there is, where."""

from collections import Counter
from typing import Any

EXAMPLES = 5
"""Rows named in a sentence; Data Docs has all of them."""
FEW_VALUES = 5
"""Different values up to which each is counted."""


def sentence(finding: dict[str, Any]) -> str:
    """One expectation that was not met.

    Args:
        finding: an expectation's result as Great Expectations gives it in JSON, with its
            ``description`` as what was expected.
    """
    return f"{expected(finding)}; found {_found(finding)}."


def expected(finding: dict[str, Any]) -> str:
    """What was expected, as the suite says it."""
    return str(finding["expectation_config"]["description"])


def is_warning(finding: dict[str, Any]) -> bool:
    """Whether not meeting it stops nothing."""
    return bool(finding["expectation_config"].get("severity") == "warning")


def _found(finding: dict[str, Any]) -> str:
    result = finding["result"]
    if not result:
        return f"that it cannot be told: {_error(finding['exception_info'])}"
    if result.get("unexpected_count"):
        return _rows(result)
    if "partial_missing_list" in result:
        return f"none of {', '.join(sorted(result['partial_missing_list']))}"
    value = result.get("observed_value")
    return "nothing to judge" if value is None else f"{value:,.6g}"


def _error(info: dict[str, Any]) -> str:
    """The message in one exception info, or in the first of several."""
    if "exception_message" in info:
        return str(info["exception_message"])
    return _error(next(iter(info.values())))


def _rows(result: dict[str, Any]) -> str:
    count, total = result["unexpected_count"], result["element_count"]
    places = result.get("unexpected_index_list") or []
    named = [_place(place) for place in places[:EXAMPLES]]
    more = [f"and {len(places) - EXAMPLES:,} more"] if len(places) > EXAMPLES else []
    values = _values(result.get("unexpected_list") or [])
    share = f"{count:,} of {total:,} against it ({count / total:.1%}{values})"
    return f"{share}: {', '.join(named + more)}" if named else share


def _values(values: list[Any]) -> str:
    """How often each value occurs, where there are few: ``; 3 truncated, 1 blank``."""
    counts = Counter(str(value) for value in values)
    if not counts or len(counts) > FEW_VALUES:
        return ""
    return "; " + ", ".join(f"{n:,} {value}" for value, n in counts.most_common())


def _place(place: dict[str, Any]) -> str:
    """A row: its path (or shard), and in brackets what the expectation saw there."""
    path = place.get("source_path") or place.get("shard")
    seen = [
        f"{key} {value}"
        for key, value in place.items()
        if key not in ("source_path", "shard") and value is not None
    ]
    return f"{path} ({', '.join(seen)})" if seen else str(path)

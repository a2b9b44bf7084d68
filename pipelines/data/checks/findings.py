"""What an expectation found, said in a sentence: what was expected, what there is, where."""

from collections import Counter
from typing import Any

EXAMPLES = 5
"""Rows named in a sentence; Data Docs has all of them."""
FEW_VALUES = 5
"""Different values up to which each is counted instead of told row by row."""

Place = dict[str, Any]
"""One row that breaks an expectation: its names, and the values that were judged."""


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


def stops(finding: dict[str, Any]) -> bool:
    """Whether an expectation is not met, and a run must not go on."""
    return not finding["success"] and not is_warning(finding)


def _found(finding: dict[str, Any]) -> str:
    result = finding["result"]
    if not result:
        return f"that it cannot be told: {_error(finding['exception_info'])}"
    if result.get("unexpected_count"):
        return _rows(result)
    if "partial_missing_list" in result:
        return f"none of {', '.join(sorted(result['partial_missing_list']))}"
    value = result.get("observed_value")
    return "nothing to judge" if value is None else _plain(value)


def _error(info: dict[str, Any]) -> str:
    """The message in one exception info, or in the first of several."""
    if "exception_message" in info:
        return str(info["exception_message"])
    return _error(next(iter(info.values())))


def _rows(result: dict[str, Any]) -> str:
    count, total = result["unexpected_count"], result["element_count"]
    places: list[Place] = result.get("unexpected_index_list") or []
    counts = Counter(seen for place in places if (seen := _seen(place)))
    few = len(counts) <= FEW_VALUES
    values = [f"{n:,} x {seen}" for seen, n in counts.most_common()] if few else []
    named = [_name(place) if few else _name_and_seen(place) for place in places[:EXAMPLES]]
    more = [f"and {len(places) - EXAMPLES:,} more"] if len(places) > EXAMPLES else []
    share = ", ".join([f"{count / total:.1%}", *values])
    return f"{count:,} of {total:,} against it ({share}): {', '.join(named + more)}"


def _name(place: Place) -> str:
    return str(place.get("source_path") or place.get("part"))


def _name_and_seen(place: Place) -> str:
    return f"{_name(place)} ({_seen(place)})"


def _seen(place: Place) -> str:
    """What the expectation saw in a row, or nothing where it saw nothing."""
    judged = {key: value for key, value in place.items() if key not in ("source_path", "part")}
    told = [_plain(value) for value in judged.values()]
    return " / ".join(told) if any(value is not None for value in judged.values()) else ""


def _plain(value: Any) -> str:
    if value is None:
        return "none"
    return f"{value:,.6g}" if isinstance(value, float) else str(value)

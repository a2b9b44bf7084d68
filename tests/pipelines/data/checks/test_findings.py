from typing import Any

import pytest

from pipelines.data.checks.findings import sentence


def finding(result: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"expectation_config": {"description": "Every image is round"}, "result": result} | more


def broken_by(*places: dict[str, Any]) -> dict[str, Any]:
    return {
        "element_count": 10,
        "unexpected_count": len(places),
        "unexpected_index_list": list(places),
    }


@pytest.mark.parametrize(
    ("result", "expected"),
    [
        ({"observed_value": 1234567}, "found 1234567."),
        ({"observed_value": 0.123456789}, "found 0.123457."),
        ({"observed_value": None}, "found no values."),
        (
            {"observed_value": None, "partial_missing_list": ["b", "a"]},
            "found none of a, b.",
        ),
        (
            broken_by({"mode": "X", "source_path": "a.png"}),
            "found 1 of 10 that break it (10.0%, 1 x X): a.png.",
        ),
        (
            broken_by({"copy_of": None, "source_path": "a.png"}),
            "found 1 of 10 that break it (10.0%): a.png.",
        ),
        (
            broken_by({"damage": "gone", "source_path": None, "part": "3f1c"}),
            "found 1 of 10 that break it (10.0%, 1 x gone): 3f1c.",
        ),
        (
            broken_by({"planned": "train", "split": None, "source_path": "a.png"}),
            "found 1 of 10 that break it (10.0%, 1 x train / none): a.png.",
        ),
        (
            broken_by(*({"width": float(n), "source_path": f"{n}.png"} for n in range(7))),
            "found 7 of 10 that break it (70.0%): 0.png (0), 1.png (1), 2.png (2), 3.png (3), "
            "4.png (4), and 2 more.",
        ),
    ],
)
def test_a_finding_says_what_was_expected_and_what_there_is(
    result: dict[str, Any], expected: str
) -> None:
    assert sentence(finding(result)) == f"Every image is round; {expected}"


def test_an_expectation_that_cannot_be_judged_says_why() -> None:
    info = {"a metric": {"exception_message": 'The column "round" does not exist'}}
    said = sentence(finding({}, exception_info=info))
    assert said.endswith('found an error: The column "round" does not exist.')

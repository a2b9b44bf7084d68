from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from pipelines.errors import WindowError
from pipelines.evaluation.novelty import fit_novelty
from pipelines.monitoring import judge as module
from pipelines.monitoring.answers import Answers
from pipelines.monitoring.judge import Finding, judge
from pipelines.monitoring.reference import Reference
from pipelines.spec import MonitorSpec
from tests.pipelines.monitoring.drawn import CHANNELS, draw, reference_of

RULES = MonitorSpec(false_alarms=0.05)


@pytest.fixture(autouse=True)
def few_choices(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "CHOICES", 300)


@pytest.fixture(scope="module")
def reference() -> Reference:
    answers = draw(300, seed=100)
    learnt = draw(500, seed=101).features
    return replace(
        reference_of(answers), novelty=fit_novelty([learnt], answers.features, false_alarms=0.01)
    )


def seen(findings: list[Finding]) -> set[str]:
    return {finding.name for finding in findings if finding.drifted}


def test_every_kind_of_drift_is_judged(reference: Reference) -> None:
    findings = judge(reference, draw(100, seed=1), RULES)

    assert [finding.name for finding in findings] == [
        "brightness",
        "contrast",
        "width",
        "height",
        "features",
        "classes",
        "confidence",
        "abstention",
        "novelty",
    ]
    assert all(finding.limit == 0.05 for finding in findings)
    assert all(finding.drifted == (finding.p_value <= 0.05) for finding in findings)


def test_a_bundle_without_novelty_is_judged_by_the_rest(reference: Reference) -> None:
    findings = judge(replace(reference, novelty=None), draw(100, seed=1), RULES)

    assert "novelty" not in {finding.name for finding in findings}


@pytest.mark.parametrize(
    ("change", "kinds"),
    [
        ({"brightness": 75.0}, {"brightness"}),
        ({"width": 256}, {"width"}),
        ({"mix": (0.1, 0.3, 0.6)}, {"classes"}),
        ({"sureness": 0.7}, {"confidence"}),
        ({"abstained": 0.4}, {"abstention"}),
        ({"shift": 0.7}, {"features", "novelty"}),
    ],
    ids=["brighter", "wider", "another mix", "less sure", "abstained", "shifted"],
)
def test_what_has_drifted_is_named_and_nothing_else(
    reference: Reference, change: dict[str, Any], kinds: set[str]
) -> None:
    findings = judge(reference, draw(120, seed=2, **change), RULES)

    assert seen(findings) >= {min(kinds)}
    assert seen(findings) <= kinds


def test_clean_windows_rarely_alarm(reference: Reference) -> None:
    clean = [judge(reference, draw(60, seed=seed), RULES) for seed in range(200, 260)]

    assert sum(bool(seen(findings)) for findings in clean) <= 8  # 3 expected


def test_a_finding_tells_a_person_what_changed(reference: Reference) -> None:
    (brightness, *_) = judge(reference, draw(100, seed=1, brightness=80), RULES)

    assert brightness.detail.startswith("median mean grey level 8")
    assert "the reference: median mean grey level 6" in brightness.detail
    assert 0.5 < brightness.statistic <= 1


def test_the_same_seed_finds_the_same(reference: Reference) -> None:
    window = draw(80, seed=3)

    assert judge(reference, window, RULES, seed=4) == judge(reference, window, RULES, seed=4)
    assert judge(reference, window, RULES, seed=4) != judge(reference, window, RULES, seed=5)


def test_large_windows_are_thinned_and_still_judged(
    reference: Reference, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "MOST_ROWS", 90)

    assert not seen(judge(reference, draw(2000, seed=5), RULES))
    assert "features" in seen(judge(reference, draw(2000, seed=5, shift=0.7), RULES))


def test_a_patients_many_pictures_count_as_one_where_patients_are_known() -> None:
    before, after = draw(120, seed=6), draw(120, seed=7, brightness=66)
    once = replace(after, pictures=after.pictures[np.arange(120) // 20 * 20])  # six patients
    patients = tuple(f"patient {row // 20}" for row in range(120))
    singles = tuple(f"other {row}" for row in range(120))

    unknown = judge(reference_of(before), once, RULES)
    known = judge(reference_of(before.known_by(singles)), once.known_by(patients), RULES)

    assert unknown[0].name == known[0].name == "brightness"
    assert unknown[0].p_value < known[0].p_value


def test_a_stricter_rule_asks_more_of_chance(
    reference: Reference, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "CHOICES", 10)

    findings = judge(reference, draw(100, seed=8, shift=1.0), MonitorSpec(false_alarms=0.002))

    assert "features" in seen(findings)  # which ten choices could never show


@pytest.mark.parametrize(
    ("window", "message"),
    [
        (draw(1, seed=0), "has 1 answers; 30 are needed"),
        (replace(draw(50, seed=0), classes=("a", "b", "x")), "tells a, b, x apart"),
        (
            replace(draw(50, seed=0), features=np.zeros((50, 8), np.float32)),
            f"8 channels, the reference's {CHANNELS}",
        ),
        (
            replace(draw(50, seed=0), features=np.full((50, CHANNELS), np.nan, np.float32)),
            "features of 50 of 50 answers are no finite numbers, first in row 0",
        ),
        (
            replace(draw(50, seed=0), pictures=np.full((50, 4), np.inf, np.float32)),
            "pictures of 50 of 50",
        ),
    ],
    ids=["one row", "other classes", "other features", "NaN", "infinite"],
)
def test_what_cannot_be_judged_is_said_clearly(
    reference: Reference, window: Answers, message: str
) -> None:
    with pytest.raises(WindowError, match=message):
        judge(reference, window, RULES)


def test_answers_that_are_all_the_same_are_judged(reference: Reference) -> None:
    stuck = draw(1, seed=9).take(np.zeros(60, int))

    assert {"brightness", "features", "classes"} <= seen(judge(reference, stuck, RULES))
    same = reference_of(draw(1, seed=9).take(np.zeros(200, int)))
    assert not seen(judge(same, stuck, RULES))

"""Models do not get worse step by step, and equal ones are not kept out."""

from itertools import pairwise

import numpy as np
import pytest

from benchmarks.gate_rules import GENERATIONS, Chain, chain
from pipelines.evaluation.decisions import Decisions
from pipelines.evaluation.intervals import Interval
from pipelines.evaluation.paired import Difference, paired_bootstrap
from pipelines.outputs import RuleResult
from pipelines.release.drops import drop, drops, large_enough, limits_of
from pipelines.release.rules import Evidence, Reference, judge
from pipelines.spec import GateSpec

GATE = GateSpec()


def chains(gate: GateSpec, images: int, loss: float, *, best: bool = True) -> list[Chain]:
    """Thirty chains of ten generations."""
    rng = np.random.default_rng(3)
    return [chain(gate, images, loss, rng=rng, best=best) for _ in range(30)]


@pytest.mark.parametrize("images", [20, 150])
def test_generations_that_each_lose_one_point_are_stopped(images: int) -> None:
    lost = [one.lost for one in chains(GATE, images, 0.01)]

    assert max(lost) < 0.01 * GENERATIONS
    assert np.mean(lost) < 0.05


def test_without_the_best_champion_and_with_the_former_reading_they_were_not() -> None:
    shown = chains(GateSpec(worse_when="shown"), 20, 0.01, best=False)

    assert np.mean([one.lost for one in shown]) > 0.08


@pytest.mark.parametrize("images", [20, 150])
def test_equally_good_models_are_mostly_accepted(images: int) -> None:
    equal = chains(GATE, images, 0.0)

    assert np.mean([one.first for one in equal]) > 0.75
    assert np.mean([one.accepted for one in equal]) / GENERATIONS > 0.55


def test_one_more_image_lost_each_time_is_stopped_though_no_step_exceeds_the_margin() -> None:
    """60 test images of two classes, the case that was reported."""
    labels = np.repeat([0, 1], 30)
    groups = [str(n) for n in range(60)]

    def answers(lost: int) -> Decisions:
        said = labels.copy()
        said[:lost] = 1
        return Decisions.by_likeliest(np.eye(2)[said], ("a", "b"))

    def verdict(ours: int, theirs: int) -> list[RuleResult]:
        apart = paired_bootstrap(labels, answers(ours), answers(theirs), groups=groups, seed=1)
        independent = {"macro_f1": 60, "sensitivity.a": 30, "sensitivity.b": 30}
        return list(drops(GATE, "macro_f1", apart, independent=independent, beside="version 1"))

    steps = [all(rule.passed for rule in verdict(n, m)) for m, n in pairwise(range(11))]
    from_best = [all(rule.passed for rule in verdict(n, 0)) for n in range(1, 11)]

    assert all(steps)
    assert from_best == [True, True, *[False] * 8]


@pytest.mark.parametrize(
    ("lower", "half", "independent", "passed", "told"),
    [
        (0.0, 0.004, 5000, True, "is shown to be at most 0.01 below"),
        (0.007, 0.004, 5000, False, "is shown to be at most 0.01 below"),
        (0.007, 0.004, 100, True, "as far as this test set can tell"),
        (0.01, 0.02, 5000, True, "as far as this test set can tell"),
        (0.02, 0.02, 5000, False, "as far as this test set can tell"),
        (0.03, 0.05, 60, True, "as far as this test set can tell"),
        (0.06, 0.2, 60, True, "as far as this test set can tell"),
        (0.061, 0.2, 60, False, "as far as this test set can tell"),
        (0.1, 0.12, 60, False, "as far as this test set can tell"),
        (-0.2, 0.3, 8, True, "as far as this test set can tell"),
    ],
)
def test_a_large_test_set_excludes_the_margin_and_a_small_one_bounds_the_drop(
    lower: float, half: float, independent: int, passed: bool, told: str
) -> None:
    difference = Difference(-lower, -lower - half, -lower + half, p=0.5)

    rule = drop(
        "accuracy", difference, limits_of(GATE, 0.01), independent=independent, beside="version 4"
    )

    assert rule.passed == passed
    assert told in rule.rule
    assert bool(rule.note) == ("can tell" in told)


def test_a_few_equal_answers_do_not_make_a_test_set_large() -> None:
    assert not large_enough(Interval(0, 0), 0.05, 70)
    assert large_enough(Interval(0, 0), 0.05, 80)
    assert not large_enough(Interval(-0.03, 0.03), 0.05, 10_000)


def test_what_a_small_test_set_cannot_tell_is_said_once_with_how_many_images_could() -> None:
    figures = {"macro_f1": Difference(-0.02, -0.07, 0.03, p=0.4)}
    one, best = (Reference(name, figures, {"macro_f1": 60}) for name in ("one", "best"))
    known = {"sensitivity.a": 0.9, "specificity.a": 0.9, "ece": 0.01}
    evidence = Evidence(
        classes=("a",),
        challenger=known,
        intervals={name: Interval(value, value) for name, value in known.items()},
        bundle_difference=0.0,
        precision="f32",
        bundle_loss=0.0,
        references=(one, best),
    )

    rules, _ = judge(GATE, "macro_f1", evidence)

    assert [rule.note for rule in rules if rule.note] == [
        "The test set is too small to tell whether macro_f1 dropped by more than 0.01: 60 "
        "independent images, about 6,000 needed; a drop of up to 0.042 passes."
    ]
    assert sum("macro_f1" in rule.rule for rule in rules) == 2

import numpy as np
import pytest
from scipy.stats import kstest

from pipelines.monitoring.permutation import adjusted, memberships, p_values
from pipelines.monitoring.statistics import kolmogorov_smirnov, share_difference

SINGLES = [str(row) for row in range(60)]
IN_WINDOW = np.arange(60) < 20


def test_what_was_seen_comes_first_and_all_choices_are_as_large() -> None:
    blocks = list(memberships(SINGLES, IN_WINDOW, choices=2500, seed=1))

    together = np.concatenate(blocks, axis=1)
    assert together.shape == (60, 2501)
    assert (together[:, 0] == IN_WINDOW).all()
    assert (together.sum(axis=0) == 20).all()
    assert together[:, 1:].mean(axis=1).min() > 0.30
    assert together[:, 1:].mean(axis=1).max() < 0.37


def test_the_same_seed_gives_the_same_choices_and_another_gives_others() -> None:
    def drawn(seed: int) -> np.ndarray:
        return np.concatenate(list(memberships(SINGLES, IN_WINDOW, choices=10, seed=seed)), axis=1)

    assert (drawn(1) == drawn(1)).all()
    assert (drawn(1) != drawn(2)).any()


def test_a_patients_pictures_move_together() -> None:
    patients = [f"patient {row // 3}" for row in range(60)]

    (_, drawn) = memberships(patients, np.arange(60) < 30, choices=50, seed=0)

    by_patient = drawn.reshape(20, 3, 50)
    assert (by_patient == by_patient[:, :1]).all()
    assert (by_patient[:, 0].sum(axis=0) == 10).all()


def test_one_name_on_both_sides_is_two_units() -> None:
    (_, drawn) = memberships(["same"] * 8, np.arange(8) < 4, choices=40, seed=0)

    assert (drawn[:4] == drawn[0]).all()
    assert (drawn[0] != drawn[4]).all()


def test_a_p_value_is_how_often_one_is_at_least_as_large() -> None:
    assert p_values(np.array([[3.0, 1.0, 2.0, 3.0]])).tolist() == [[0.5, 1.0, 0.75, 0.5]]


def test_rounding_does_not_break_a_tie() -> None:
    assert p_values(np.array([[0.3, 0.1 + 0.2, 0.0, 0.0]]))[0, 0] == 0.5


@pytest.mark.parametrize("rows_of_a_patient", [1, 3])
def test_p_values_are_uniform_where_nothing_has_drifted(rows_of_a_patient: int) -> None:
    rng = np.random.default_rng(5)
    units = [str(row // rows_of_a_patient) for row in range(60)]
    found = []
    for seed in range(300):
        values = rng.normal(size=60 // rows_of_a_patient).repeat(rows_of_a_patient)
        seen = [
            values @ members / members.sum(axis=0)
            for members in memberships(units, np.arange(60) < 24, choices=199, seed=seed)
        ]
        found.append(p_values(np.concatenate(seen)[None])[0, 0])

    jitter = rng.random(300) / 200  # they are multiples of 1/200
    assert kstest(np.array(found) - jitter, "uniform").pvalue > 0.01


def test_treating_one_patients_pictures_as_independent_makes_false_alarms() -> None:
    rng = np.random.default_rng(6)
    found = []
    for seed in range(100):
        values = rng.normal(size=12).repeat(5)
        seen = [
            kolmogorov_smirnov(values, members)
            for members in memberships(SINGLES, np.arange(60) < 30, choices=99, seed=seed)
        ]
        found.append(p_values(np.concatenate(seen)[None])[0, 0])

    assert np.mean(np.array(found) <= 0.05) > 0.2


def test_all_tests_together_make_few_false_alarms() -> None:
    rng = np.random.default_rng(7)
    alarms = 0
    for seed in range(200):
        values = rng.normal(size=(5, 60))
        flags = rng.random(60) < 0.1
        seen = [
            np.stack(
                [
                    *(kolmogorov_smirnov(line, members) for line in values),
                    share_difference(flags, members),
                ]
            )
            for members in memberships(SINGLES, IN_WINDOW, choices=199, seed=seed)
        ]
        alarms += adjusted(np.concatenate(seen, axis=1)).min() <= 0.1

    assert 6 <= alarms <= 32  # 20 expected


def test_two_tests_that_say_the_same_cost_nothing() -> None:
    rng = np.random.default_rng(8)
    statistics = rng.normal(size=(1, 500))
    statistics[0, 0] = 2.5

    alone, twice = adjusted(statistics), adjusted(np.repeat(statistics, 2, axis=0))

    assert twice.tolist() == [alone[0], alone[0]]
    apart = adjusted(np.concatenate([statistics, rng.normal(size=(1, 500))]))
    assert apart[0] > alone[0]


def test_an_adjusted_p_value_is_never_smaller_than_a_lone_one_and_keeps_the_order() -> None:
    statistics = np.random.default_rng(9).normal(size=(6, 300))

    lone, together = p_values(statistics)[:, 0], adjusted(statistics)

    assert (together >= lone).all()
    assert (np.diff(together[np.argsort(lone)]) >= 0).all()

"""Net benefit, against counts worked out by hand."""

import numpy as np
import pytest

from pipelines.evaluation.net_benefit import net_benefit, odds, of_acting_on_all

ILL = np.array([True, True, False, False, False])
PROBABILITY = np.array([0.9, 0.3, 0.5, 0.2, 0.05])
ONE = np.ones((1, 5))


@pytest.mark.parametrize(
    ("threshold", "expected"),
    [
        # two found, two false alarms at odds of 1 to 9
        (0.1, (2 - 2 / 9) / 5),
        # two found, one false alarm at odds of 1 to 3
        (0.25, (2 - 1 / 3) / 5),
        # one found, one false alarm that weighs as much
        (0.5, 0.0),
        # one found
        (0.6, 1 / 5),
        (0.95, 0.0),
    ],
)
def test_true_positives_less_weighed_false_ones(threshold: float, expected: float) -> None:
    found = net_benefit(ILL, PROBABILITY, np.array([threshold]), weights=ONE)

    assert found[0, 0] == pytest.approx(expected)


def test_acting_on_all_gains_nothing_at_the_prevalence_and_harms_above() -> None:
    thresholds = np.array([0.1, 0.4, 0.5])

    found = of_acting_on_all(np.array([0.4]), thresholds)[0]

    assert found[0] == pytest.approx(0.4 - 0.6 / 9)
    assert found[1] == pytest.approx(0)
    assert found[2] < 0
    everything = net_benefit(ILL, np.ones(5), thresholds, weights=ONE)[0]
    assert everything == pytest.approx(found)


def test_another_prevalence_is_as_if_images_were_drawn_to_have_it() -> None:
    thresholds = np.array([0.1, 0.25, 0.5])
    copies = np.where(ILL, 1.0, 6.0)[None]  # 2 of 20

    stated = net_benefit(ILL, PROBABILITY, thresholds, weights=ONE, prevalence=0.1)
    drawn = net_benefit(ILL, PROBABILITY, thresholds, weights=copies)

    assert stated == pytest.approx(drawn)


def test_a_threshold_of_one_in_ten_weighs_nine_false_alarms_as_a_finding() -> None:
    assert odds(np.array([0.1, 0.5])) == pytest.approx([1 / 9, 1])

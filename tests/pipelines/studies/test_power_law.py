"""A power law is found again in errors that follow one."""

import numpy as np
import pytest

from pipelines.studies.power_law import fit


def test_a_law_is_found_again() -> None:
    images = [100, 250, 500, 1000]
    errors = np.array([[2.0 * n**-0.4, 0.5 * n**-0.1] for n in images])

    law = fit(images, errors)

    assert law.exponent == pytest.approx([0.4, 0.1])
    assert law.error_at(2000) == pytest.approx([2.0 * 2000**-0.4, 0.5 * 2000**-0.1])


def test_errors_that_stay_the_same_have_no_exponent() -> None:
    assert fit([10, 20, 40], np.full((3, 1), 0.25)).exponent == pytest.approx([0.0])


def test_no_error_at_all_has_a_law_too() -> None:
    law = fit([10, 100], np.array([[0.1], [0.0]]))

    assert np.isfinite(law.exponent).all()
    assert law.error_at(200)[0] < 1e-3


def test_one_size_makes_no_law() -> None:
    with pytest.raises(ValueError, match="two sizes"):
        fit([100, 100], np.full((2, 1), 0.1))

"""The loop's steps are what DAGs and the command line find by name."""

from types import FunctionType

import pytest

from pipelines import loop


@pytest.mark.parametrize("name", loop.__all__)
def test_every_step_is_a_function_and_no_file_hides_it(name: str) -> None:
    step = getattr(loop, name)
    assert isinstance(step, FunctionType), f"a file of pipelines/loop is called {name}, too"

from importlib.util import find_spec

from stack.preload import LIBRARIES


def test_what_the_scheduler_imports_for_its_tasks_is_installed_and_none_of_ours() -> None:
    assert [name for name in LIBRARIES if find_spec(name) is None] == []
    assert {name.partition(".")[0] for name in LIBRARIES}.isdisjoint({"pipelines", "dags"})

"""Nothing is said twice, so that the first time is not dead. `make lint` finds the rest."""

import ast
import re
from collections import Counter
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PACKAGES = ("pipelines", "serving", "dags", "stack", "expectations", "benchmarks")


def twice(names: list[str]) -> list[str]:
    return [name for name, times in Counter(names).items() if times > 1]


def test_no_constant_of_a_module_is_assigned_twice() -> None:
    found = {}
    for package in PACKAGES:
        for path in (ROOT / package).rglob("*.py"):
            assigned = [
                target.id
                for node in ast.parse(path.read_text("utf-8")).body
                if isinstance(node, ast.Assign | ast.AnnAssign)
                for target in (node.targets if isinstance(node, ast.Assign) else [node.target])
                if isinstance(target, ast.Name)
            ]
            if names := twice(assigned):
                found[str(path)] = names
    assert found == {}


def test_no_key_of_a_table_in_the_page_is_given_twice() -> None:
    tables = 0
    for path in (ROOT / "serving" / "web").glob("*.js"):
        for name, body in re.findall(
            r"^const (\w+) = \{\n(.*?)^\};", path.read_text(), re.M | re.S
        ):
            tables += 1
            keys = re.findall(r'^  "?([\w.]+)"?:', body, re.M)
            assert twice(keys) == [], f"{path.name}, {name}"
    assert tables > 3

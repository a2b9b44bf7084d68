"""The rules of the house that a program can check."""

import ast
import importlib.util
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
MODULES = sorted(
    path.relative_to(ROOT)
    for folder in ("dags", "pipelines", "serving", "stack", "expectations")
    for path in (ROOT / folder).rglob("*.py")
)
MAY_IMPORT = {
    "pipelines": {"pipelines", "expectations"},
    "expectations": {"pipelines", "expectations"},
    "serving": {"serving", "pipelines"},
    "dags": {"dags", "pipelines"},
    "stack": {"stack", "pipelines"},
}
COMMANDS = Path("pipelines/cli")
"""The command line is where everything is brought together; it may start the stack."""


def imported(path: Path) -> set[str]:
    """Top-level names a file imports, anywhere in it."""
    names: set[str] = set()
    for node in ast.walk(ast.parse((ROOT / path).read_text("utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names.add(node.module.partition(".")[0])
    return names


@pytest.mark.parametrize("path", MODULES, ids=str)
def test_data_flows_one_way(path: Path) -> None:
    ours = imported(path) & set(MAY_IMPORT)
    allowed = MAY_IMPORT[path.parts[0]] | ({"stack"} if path.is_relative_to(COMMANDS) else set())

    assert ours <= allowed


@pytest.mark.parametrize("path", MODULES, ids=str)
def test_a_file_says_what_it_is_about_and_stays_small(path: Path) -> None:
    text = (ROOT / path).read_text("utf-8")

    assert path.name not in ("utils.py", "helpers.py", "misc.py")
    assert not text.strip() or ast.get_docstring(ast.parse(text))
    assert text.count("\n") < 420


def test_the_mlflow_folder_does_not_shadow_the_package() -> None:
    assert not (ROOT / "mlflow" / "__init__.py").exists()
    found = importlib.util.find_spec("mlflow")
    assert found is not None
    assert found.origin is not None
    assert "site-packages" in found.origin


def test_one_module_uses_delta_tables_for_all() -> None:
    """`deltalake` starts threads and takes a second to load; executors do without it."""
    users = [path for path in MODULES if "deltalake" in imported(path)]
    assert users == [Path("pipelines/data/delta_log.py")]

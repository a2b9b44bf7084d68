"""Which modules another one uses, read from its import statements; nothing is imported.

Code versions by meaning: the version of a stage's code counts the modules that its result can
depend on, and no others. Imports inside functions count; those for type checkers do not.
"""

import ast
from collections.abc import Collection, Iterator
from functools import lru_cache
from importlib.util import find_spec
from types import ModuleType

from pipelines import stage


def reached(
    *roots: str, within: Collection[str], without: Collection[str] = ()
) -> list[ModuleType]:
    """The modules that ``roots`` use, directly or through one another, for `stage.code_version`.

    Args:
        roots: full names of modules; they count themselves.
        within: names of modules and packages. Others are not followed.
        without: names of modules that are neither counted nor followed.

    Returns:
        The modules by name, found and not executed.
    """
    found: dict[str, ModuleType] = {}
    waiting = [*roots]
    while waiting:
        name = waiting.pop()
        inside = any(name == one or name.startswith(f"{one}.") for one in within)
        if name in found or name in without or not inside:
            continue
        found[name] = stage.unexecuted(name)
        waiting += {_defined_in(*imported) for imported in _imports(found[name])}
    return [found[name] for name in sorted(found)]


def _imports(module: ModuleType) -> list[tuple[str, str]]:
    return _imports_of(stage._source(module))


@lru_cache(maxsize=512)
def _imports_of(source: str) -> list[tuple[str, str]]:
    """(module, imported name) of every import in a file; the name is empty for ``import m``."""
    return [*_walk(ast.parse(source))]


def _walk(tree: ast.AST) -> Iterator[tuple[str, str]]:
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING":
            continue
        if isinstance(node, ast.Import):
            yield from ((one.name, "") for one in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield from ((str(node.module), one.name) for one in node.names)
        else:
            yield from _walk(node)


def _defined_in(module: str, name: str) -> str:
    """The module that an import leads to: a module itself, or where a package got a name from."""
    if not module.startswith("pipelines") or not name:
        return module
    package = stage.unexecuted(module)
    if not hasattr(package, "__path__"):
        return module
    if find_spec(f"{module}.{name}") is not None:
        return f"{module}.{name}"
    return next((of for of, known in _imports(package) if known == name), module)

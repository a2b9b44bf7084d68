"""What every stage of the loop shares: its context, its name by content, and "done is done".

A stage is a module with ``run(spec, context, …) -> output``. Its output folder is named by the
`fingerprint` of its inputs, its part of the spec and its code, so a stage whose output stands
has nothing to do, and any run resumes where the last one stopped.
"""

import ast
import hashlib
import json
import pkgutil
import time
from dataclasses import dataclass
from functools import lru_cache
from importlib import import_module
from importlib.util import find_spec, module_from_spec
from pathlib import Path
from types import ModuleType
from typing import Any, TypeVar

from pydantic import BaseModel, ConfigDict

from pipelines import layout
from pipelines.settings import Settings, get_settings
from pipelines.storage import Store, base, open_store
from pipelines.storage.local import LocalStore

MANIFEST = base.MANIFEST


@dataclass(frozen=True)
class Context:
    """What a stage may touch besides its inputs."""

    settings: Settings
    store: Store
    fresh: str | None = None
    """The run that makes everything anew, if this is one: it uses only what it has made itself."""

    def identity(self, *parts: Any) -> str:
        """`fingerprint` of ``parts``; one of its own in a run that makes everything anew.

        Only the stages at the loop's beginning ask for it: the name of what goes into a later
        stage is part of that stage's fingerprint.
        """
        return fingerprint(*parts, *([self.fresh] if self.fresh else []))


class Output(BaseModel):
    """A stage's result: a small, serialisable reference that Airflow passes on by XCom."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    dataset: str
    id: str
    """Stands for what went in: a fingerprint, or (snapshots) a number in line and one."""


OutputT = TypeVar("OutputT", bound=Output)


def default_context(*, fresh: str | None = None) -> Context:
    """The context of this installation.

    Raises:
        LayoutError: a newer Medloop has written its home.
    """
    settings = get_settings()
    layout.HOME.require(LocalStore(settings.home))
    return Context(settings=settings, store=open_store(settings), fresh=fresh)


def fingerprint(*parts: Any) -> str:
    """16 hexadecimal digits that stand for ``parts`` (JSON values or pydantic models)."""
    text = json.dumps([_plain(part) for part in parts], sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _plain(part: Any) -> Any:
    return part.model_dump(mode="json") if isinstance(part, BaseModel) else part


def code_version(*modules: ModuleType) -> str:
    """Fingerprint of what modules do: their code without comments, docstrings and layout."""
    return fingerprint([_code_of(_source(module)) for module in modules])


def modules_of(package: ModuleType) -> list[ModuleType]:
    """Every module of a package, by name."""
    names = sorted(module.name for module in pkgutil.iter_modules(package.__path__))
    return [import_module(f"{package.__name__}.{name}") for name in names]


def unexecuted(name: str) -> ModuleType:
    """A module that is found and not run, for `code_version`: Keras takes seconds to import."""
    found = find_spec(name)
    assert found is not None, name
    return module_from_spec(found)


def _source(module: ModuleType) -> str:
    return Path(str(module.__file__)).read_text("utf-8")


@lru_cache(maxsize=512)
def _code_of(source: str) -> str:
    """What a file's text does. Kept: one process asks for the version of many stages."""
    tree = ast.parse(source)
    _drop_docstrings(tree)
    return ast.dump(tree)


def _drop_docstrings(tree: ast.Module) -> None:
    for node in ast.walk(tree):
        body = getattr(node, "body", None)
        if isinstance(body, list):
            node.body = [s for s in body if not _is_bare_text(s)]  # type: ignore[attr-defined]


def _is_bare_text(statement: ast.stmt) -> bool:
    return (
        isinstance(statement, ast.Expr)
        and isinstance(statement.value, ast.Constant)
        and isinstance(statement.value.value, str)
    )


def used(context: Context, path: str) -> None:
    """Note that a run uses an output that exists: ``medloop prune`` counts its age from then.

    Raises:
        NotFound: it is gone.
        StoreUnavailable: the store does not answer.
    """
    context.store.set_modified(f"{path}/{MANIFEST}", time.time())


def existing_output(context: Context, path: str, output: type[OutputT]) -> OutputT | None:
    """The committed output at ``path``, read from its manifest's ``output``; ``None`` if none.

    Raises:
        LayoutError: a newer Medloop has written the store.
    """
    context.store.require_layout()
    manifest = f"{path}/{MANIFEST}"
    if not context.store.exists(manifest):
        return None
    return output.model_validate(context.store.read_json(manifest)["output"])

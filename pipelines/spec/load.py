"""Find, read and check the files in ``datasets/``; say what is wrong with them, and where."""

from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError

from pipelines.errors import SpecError
from pipelines.settings import get_settings
from pipelines.spec.dataset import DatasetSpec
from pipelines.spec.section import Section


def spec_names() -> list[str]:
    """Names of the data sets that have a file."""
    return sorted(path.stem for path in get_settings().datasets.glob("*.yaml"))


def invalid_specs() -> dict[str, SpecError]:
    """What is wrong with each file that cannot be used; data set → error."""
    errors: dict[str, SpecError] = {}
    for name in spec_names():
        try:
            load_spec(name)
        except SpecError as error:
            errors[name] = error
    return errors


def load_spec(name: str) -> DatasetSpec:
    """Load ``datasets/<name>.yaml``.

    Raises:
        SpecError: there is no such file, or it says something it may not; the message names
            file, field, value and what is allowed.
    """
    path = get_settings().datasets / f"{name}.yaml"
    if not path.is_file():
        known = ", ".join(spec_names()) or "none yet"
        raise SpecError(f"There is no {path}. Data sets: {known}.")
    return read_spec(path)


def read_spec(path: Path) -> DatasetSpec:
    """Read and check one spec file; see `load_spec`."""
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise SpecError(f"{path} cannot be read: {error.strerror}.") from error
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise SpecError(f"{path} is not YAML: {error}") from error
    if not isinstance(content, dict):
        raise SpecError(f"{path} must hold fields (name: …, classes: …), not {content!r}.")
    try:
        spec = DatasetSpec.model_validate(content)
    except ValidationError as error:
        raise SpecError("\n".join(_explain(path, e) for e in error.errors())) from error
    if spec.name != path.stem:
        raise SpecError(f"{path}: name: {spec.name!r} must be the file's name, {path.stem!r}.")
    return spec


def _explain(path: Path, error: Any) -> str:
    field = ".".join(str(part) for part in error["loc"])
    if error["type"] == "extra_forbidden":
        allowed = ", ".join(_fields_beside(error["loc"]))
        return f"{path}: unknown field {field!r} (value {error['input']!r}); allowed: {allowed}."
    if error["type"] == "missing":
        return f"{path}: field {field!r} is missing."
    message = error["msg"].removeprefix("Value error, ")
    where = f"{field}: " if field else ""
    value = "" if isinstance(error["input"], dict) else f" (value {error['input']!r})"
    return f"{path}: {where}{message}{value}."


def _fields_beside(location: tuple[str | int, ...]) -> list[str]:
    """The fields a section knows, found by walking the models along an error's location."""
    model: Any = DatasetSpec
    for part in location[:-1]:
        if isinstance(part, str) and part in getattr(model, "model_fields", {}):
            model = _section_in(model.model_fields[part].annotation)
    return sorted(model.model_fields)


def _section_in(annotation: Any) -> Any:
    if isinstance(annotation, type) and issubclass(annotation, Section):
        return annotation
    found = [_section_in(arg) for arg in getattr(annotation, "__args__", ())]
    return next((section for section in found if section is not None), None)

"""Names by content, and knowing what stands."""

import importlib.util
from pathlib import Path
from types import ModuleType

import pytest

from pipelines.outputs import Release
from pipelines.spec import ImageSpec
from pipelines.stage import Context, code_version, existing_output, fingerprint


def module(tmp_path: Path, source: str) -> ModuleType:
    file = tmp_path / "sample.py"
    file.write_text(source)
    spec = importlib.util.spec_from_file_location("sample", file)
    assert spec is not None
    return importlib.util.module_from_spec(spec)


def test_a_fingerprint_knows_content_not_order() -> None:
    assert fingerprint({"a": 1, "b": 2}) == fingerprint({"b": 2, "a": 1})
    assert fingerprint(ImageSpec(size=64)) != fingerprint(ImageSpec(size=96))
    assert fingerprint("a", "b") != fingerprint("ab")


BEFORE = "def f(x):\n    return x + 1\n"


@pytest.mark.parametrize(
    ("after", "same"),
    [
        (
            '"""Doc."""\n\ndef f(x):\n    """Says why."""\n    # a comment\n    return (x + 1)\n',
            True,
        ),
        ("def f(x):\n    return x + 2\n", False),
        ("def f(x, y=0):\n    return x + 1\n", False),
    ],
)
def test_code_that_matters_changes_the_version_and_prose_does_not(
    tmp_path: Path, after: str, same: bool
) -> None:
    before = code_version(module(tmp_path, BEFORE))

    assert (code_version(module(tmp_path, after)) == before) is same


def test_an_output_stands_once_its_manifest_does(context: Context) -> None:
    output = Release(dataset="d", id="1", champion=2, previous=None)
    assert existing_output(context, "d/x", Release) is None

    context.store.write_json("d/x/manifest.json", {"output": output.model_dump(mode="json")})

    assert existing_output(context, "d/x", Release) == output

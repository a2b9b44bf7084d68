"""Which modules another one uses, as its import statements say."""

import subprocess
import sys
from types import ModuleType

import pytest

from pipelines import stage
from pipelines.reached import reached

FILES = {
    "pipelines.errors": "from pipelines.failures import a\n",
    "pipelines.failures": "def f():\n    from pipelines.healing import b\n",
    "pipelines.healing": "if TYPE_CHECKING:\n    from pipelines.memory import c\n",
    "pipelines.imaging": "from pipelines.imaging.fit import crop_box\n",
    "pipelines.ports": "from pipelines.imaging import crop_box, decode\nimport numpy\n",
}
"""Module → what it seems to hold; all others seem to be empty."""


@pytest.fixture(autouse=True)
def _imagined(monkeypatch: pytest.MonkeyPatch) -> None:
    def read(module: ModuleType) -> str:
        return FILES.get(module.__name__, "")

    monkeypatch.setattr(stage, "_source", read)


def _names(*roots: str, without: tuple[str, ...] = ()) -> list[str]:
    return [m.__name__ for m in reached(*roots, within=("pipelines",), without=without)]


def test_imports_are_followed_into_functions_and_not_for_type_checkers() -> None:
    assert _names("pipelines.errors") == [
        *("pipelines.errors", "pipelines.failures", "pipelines.healing")
    ]


def test_a_name_of_a_package_leads_to_the_module_that_defines_it() -> None:
    assert _names("pipelines.ports") == [
        *("pipelines.imaging.decode", "pipelines.imaging.fit", "pipelines.ports")
    ]


def test_what_is_left_out_is_not_followed() -> None:
    assert _names("pipelines.errors", without=("pipelines.failures",)) == ["pipelines.errors"]


def test_no_module_is_executed() -> None:
    """Keras takes seconds to import, and each start of a stage asks for the version."""
    asked = (
        "import sys; from pipelines.models.code import family_modules; "
        "from pipelines.reached import reached; family_modules('resnet50'); "
        "reached('pipelines.training.train', within=('pipelines.training',)); "
        "sys.exit('keras' in sys.modules)"
    )

    assert subprocess.run([sys.executable, "-c", asked]).returncode == 0

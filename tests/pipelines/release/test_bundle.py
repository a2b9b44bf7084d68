"""A bundle is taken whole and unaltered, or not at all."""

import hashlib
import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from pipelines.errors import BundleError
from pipelines.release.bundle import MANIFEST, load_bundle, read_manifest, stamp
from pipelines.spec import AbstentionSpec
from tests.pipelines.release.models import CLASSES


@pytest.fixture
def copy(bundle_folder: Path, tmp_path: Path) -> Path:
    """A copy to spoil."""
    return Path(shutil.copytree(bundle_folder, tmp_path / "copy"))


def _edit(folder: Path, **fields: object) -> None:
    content = json.loads((folder / MANIFEST).read_text())
    (folder / MANIFEST).write_text(json.dumps(content | fields))


SPOILED: dict[str, tuple[Callable[[Path], object], str]] = {
    "no manifest": (lambda f: (f / MANIFEST).unlink(), "no bundle.json"),
    "no JSON": (lambda f: (f / MANIFEST).write_text("{"), "not JSON"),
    "no object": (lambda f: (f / MANIFEST).write_text("[]"), "format_version is None"),
    "newer format": (
        lambda f: _edit(f, format_version=99),
        "format_version is 99.*A newer Medloop made it.*rollback",
    ),
    "unknown field": (lambda f: _edit(f, colour="red"), "colour"),
    "other classes": (lambda f: _edit(f, title="Something else"), "altered"),
    "other weights": (lambda f: (f / "model.bin").write_bytes(b"x"), "model.bin is not the file"),
    "missing file": (lambda f: (f / "head.npz").unlink(), "head.npz is missing"),
    "extra file": (lambda f: (f / "extra.py").write_text("1"), "extra.py is not listed"),
}


@pytest.mark.parametrize(("spoil", "named"), SPOILED.values(), ids=SPOILED)
def test_a_spoiled_bundle_is_refused_and_what_is_wrong_is_named(
    copy: Path, spoil: Callable[[Path], object], named: str
) -> None:
    spoil(copy)

    with pytest.raises(BundleError, match=named):
        load_bundle(copy)


def test_a_stamped_bundle_knows_its_version_and_is_still_whole(copy: Path) -> None:
    assert load_bundle(copy).manifest.model_version is None

    stamp(copy, 7)

    assert load_bundle(copy).manifest.model_version == 7


def test_the_manifest_says_what_the_service_tells_about_itself(bundle_folder: Path) -> None:
    manifest = read_manifest(bundle_folder)

    assert manifest.dataset == "tiny"
    assert manifest.synthetic
    assert manifest.class_names == CLASSES
    assert [c.finding for c in manifest.classes] == [False, True, True]
    assert manifest.metrics["accuracy"] == 0.5
    assert manifest.metrics["abstained"] == 1
    assert manifest.temperature == 1.7
    assert manifest.split == "tiny/splits/bb"


def test_a_bundle_of_format_1_is_read_with_what_later_fields_default_to(copy: Path) -> None:
    content = json.loads((copy / MANIFEST).read_text())
    (copy / "novelty.npz").unlink()
    del content["files"]["novelty.npz"]
    later = {"cells", "abstention", "review", "digest"}
    old = {name: value for name, value in content.items() if name not in later}
    old["format_version"] = 1
    sealed = {name: value for name, value in old.items() if name != "model_version"}
    text = json.dumps(sealed, sort_keys=True, separators=(",", ":"))
    old["digest"] = hashlib.sha256(text.encode()).hexdigest()
    (copy / MANIFEST).write_text(json.dumps(old))

    bundle = load_bundle(copy)
    assert bundle.manifest.cells is None
    assert bundle.manifest.abstention == AbstentionSpec()
    assert bundle.novelty is None

    stamp(copy, 7)

    assert load_bundle(copy).manifest.model_version == 7

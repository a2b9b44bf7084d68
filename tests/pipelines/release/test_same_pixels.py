"""A bundle is opened with other decoding libraries only if they give the same pixels."""

import io
import logging
from pathlib import Path

import pytest
from PIL import Image

from pipelines import decoding
from pipelines.errors import BadImage, BundleError
from pipelines.imaging import fit
from pipelines.release import same_pixels
from pipelines.release.bundle import Bundle, read_manifest
from pipelines.release.select import _other_encodings


@pytest.fixture
def bundle(bundle_folder: Path) -> Bundle:
    return Bundle(bundle_folder, read_manifest(bundle_folder))


def _upgrade(monkeypatch: pytest.MonkeyPatch) -> None:
    versions = decoding.decoding_versions() | {"pillow": "99.9"}
    monkeypatch.setattr(same_pixels, "decoding_versions", lambda **_: versions)


def _other_pixels(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(same_pixels, "fit", lambda *given: fit(*given) ^ 1)


def test_a_bundle_records_how_its_canary_images_were_decoded(bundle: Bundle) -> None:
    known = bundle.manifest.decoding

    assert known is not None
    assert known.versions == decoding.decoding_versions()
    assert set(known.pixels) == {image.file for image in bundle.canary}
    assert known.encodings == ("PNG RGB",)


def test_with_the_same_versions_nothing_is_decoded(
    bundle: Bundle, monkeypatch: pytest.MonkeyPatch
) -> None:
    _other_pixels(monkeypatch)

    assert same_pixels.require_same_pixels(bundle) is None


def test_equal_pixels_of_another_version_pass_and_are_logged(
    bundle: Bundle, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    _upgrade(monkeypatch)
    with caplog.at_level(logging.WARNING):
        assert same_pixels.require_same_pixels(bundle) == frozenset({"PNG RGB"})

    assert "pillow" in caplog.text
    assert "99.9 here" in caplog.text


def test_other_pixels_refuse_the_bundle_and_the_message_says_what_to_do(
    bundle: Bundle, monkeypatch: pytest.MonkeyPatch
) -> None:
    _upgrade(monkeypatch)
    _other_pixels(monkeypatch)

    there = decoding.decoding_versions()["pillow"]
    said = rf"pixels of canary/.* differ .*pillow {there} there, 99.9 here.*medloop retrain tiny"
    with pytest.raises(BundleError, match=said):
        same_pixels.require_same_pixels(bundle)


def test_a_bundle_of_an_older_format_is_opened_with_any_version(
    bundle: Bundle, monkeypatch: pytest.MonkeyPatch
) -> None:
    _upgrade(monkeypatch)
    _other_pixels(monkeypatch)
    old = bundle.manifest.model_copy(update={"format_version": 2, "decoding": None})

    assert same_pixels.require_same_pixels(Bundle(bundle.folder, old)) is None


def test_a_bundle_of_format_3_without_a_record_is_refused(bundle: Bundle) -> None:
    bare = bundle.manifest.model_copy(update={"decoding": None})

    with pytest.raises(BundleError, match=r"no field decoding.*medloop retrain tiny"):
        same_pixels.require_same_pixels(Bundle(bundle.folder, bare))


def test_an_encoding_that_was_not_proven_is_refused() -> None:
    file = io.BytesIO()
    Image.new("L", (40, 40)).save(file, "JPEG")
    same_pixels.require_proven(file.getvalue(), frozenset({"JPEG L"}))

    with pytest.raises(BadImage, match=r"JPEG L is not answered.*PNG RGB.*medloop retrain"):
        same_pixels.require_proven(file.getvalue(), frozenset({"PNG RGB"}))


def test_each_format_and_mode_of_the_snapshot_has_a_canary_image() -> None:
    import pandas as pd

    def row(sha256: str, format: str, mode: str) -> dict[str, str]:
        return {"sha256": sha256, "source_path": sha256, "format": format, "mode": mode}

    index = [row("a", "PNG", "L"), row("b", "PNG", "L"), row("c", "PNG", "RGB")]
    index += [row("d", "JPEG", "L"), row("e", "JPEG", "L")]
    test = pd.DataFrame({"sha256": ["c", "e"], "source_path": ["c", "e"]})

    others = _other_encodings(index, [index[2]], test)

    assert sorted(one["sha256"] for one in others) == ["a", "e"]

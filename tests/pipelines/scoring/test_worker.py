"""One file that cannot be opened costs one row."""

import io
import os
import zipfile
from pathlib import Path

import pytest

from pipelines import guarded, imaging
from pipelines.data.folders import LocalFolder
from pipelines.errors import BadImage
from pipelines.guarded import Died
from pipelines.release.predictor import Picture, Predictor
from pipelines.scoring.answers import Opened
from pipelines.scoring.worker import _open_file
from tests.serving.bundles import png


def opened(folder: Path, predictor: Predictor, name: str, data: bytes) -> Opened:
    (folder / name).write_bytes(data)
    row = {"path": os.fsencode(name), "source_path": name, "pseudonym": "pseudonym.dcm"}
    return _open_file(LocalFolder(folder), predictor, row)


def test_a_file_is_decoded_apart_and_one_that_ends_that_process_is_a_row(
    tmp_path: Path, predictor: Predictor, monkeypatch: pytest.MonkeyPatch
) -> None:
    read = opened(tmp_path, predictor, "a.png", png(1))
    assert isinstance(read.content, Picture)
    assert (read.content.fitted == predictor.see(png(1)).fitted).all()

    def die(*_: object, **__: object) -> None:
        raise Died("exit status -9")

    monkeypatch.setattr(guarded, "call_once", die)
    lost = opened(tmp_path, predictor, "a.png", png(1))
    assert isinstance(lost.content, BadImage)
    assert lost.content.reason == "process_died"
    assert lost.known["source_path"] == "a.png"


def test_what_nobody_foresaw_is_the_refusal_of_one_image_and_logged(
    predictor: Predictor, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    quoted = "Doe^Jane"

    def fail(*_: object) -> None:
        raise TypeError(quoted)

    monkeypatch.setattr("pipelines.release.predictor.fit", fail)
    with pytest.raises(BadImage, match="unexpected TypeError") as refused:
        predictor.see(png(1), decode=imaging.decode)
    assert refused.value.reason == "unexpected_error"
    assert "in fail" in caplog.text
    assert "Doe" not in caplog.text


def test_the_name_of_what_may_hold_a_patients_data_is_not_told(
    tmp_path: Path, predictor: Predictor
) -> None:
    archive = io.BytesIO()
    zipfile.ZipFile(archive, "w").close()
    for name, data in {"Doe.zip": archive.getvalue(), "Doe": b"text", "Doe.dcm": png(1)}.items():
        assert opened(tmp_path, predictor, name, data).known["source_path"] == "pseudonym.dcm"

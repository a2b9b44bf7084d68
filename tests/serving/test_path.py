"""A prediction passes the files of ``serving/`` that docs/service.md draws."""

import re
import sys
import threading
from dataclasses import replace
from pathlib import Path
from types import FrameType
from typing import Any

from starlette.testclient import TestClient

from pipelines.release.predictor import Predictor
from pipelines.settings import PROJECT, Settings
from serving.access.permissions import guard_of
from serving.app import build_app
from serving.champions import Champions
from serving.image_request import Backend
from serving.metrics import count_answer
from tests.serving.bundles import png

SERVING = PROJECT / "serving"
OUTSIDE = {"connections.py", "service.py"}
"""What runs the application, which is asked without a server here."""


def test_a_prediction_passes_the_files_that_the_docs_draw(
    backend: Backend, champions: Champions, predictor: Predictor, tmp_path: Path
) -> None:
    champions.take(predictor)
    guard = guard_of(Settings(home=tmp_path), tokens=False)
    observers = (count_answer, guard.audit.note_answer)
    client = TestClient(
        build_app(guard, replace(backend, observers=observers)), base_url="http://127.0.0.1"
    )
    passed = set()

    def note(frame: FrameType, event: str, _: Any) -> None:
        file = Path(frame.f_code.co_filename)
        if event == "call" and file.is_relative_to(SERVING):
            passed.add(str(file.relative_to(SERVING)))

    profile = sys.getprofile()
    threading.setprofile(note)  # of the threads that the request starts
    try:
        reply = client.post("/predict", files={"image": png()})
    finally:
        threading.setprofile(profile)
    assert reply.status_code == 200
    assert passed | OUTSIDE == drawn()


def drawn() -> set[str]:
    """The files in the drawing."""
    text = (PROJECT / "docs" / "service.md").read_text("utf-8")
    section = text.partition("## The path of a request")[2].partition("\n## ")[0]
    drawing = section.split("```")[1]
    files = {str(file.relative_to(SERVING)) for file in SERVING.rglob("*.py")}
    return files & set(re.findall(r"[\w/]+\.py", drawing))

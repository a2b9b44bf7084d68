"""Images brought into landing folders over HTTP."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient

from pipelines.access.store import add_token
from pipelines.access.tokens import Role, mint
from pipelines.audit.entries import audit_folder, find_uploads
from pipelines.settings import Settings
from serving.access.permissions import guard_of
from serving.app import build_app
from serving.image_request import Backend
from tests.serving.bundles import png


@pytest.fixture
def landing(installation: Settings) -> Path:
    """Where images of phantoms go."""
    return installation.home / "landing" / "phantom"


def results(reply: Any) -> list[tuple[str, str | None]]:
    return [(item["status"], item["code"]) for item in reply.json()["results"]]


def paths(folder: Path) -> list[str]:
    return sorted(str(p.relative_to(folder)) for p in folder.rglob("*") if p.is_file())


def test_each_file_of_a_request_has_its_own_result(client: TestClient, landing: Path) -> None:
    """No champion is needed: images come before models."""
    good = png(1)
    files = [
        ("image", ("a.png", good)),
        ("image", ("DOE^JOHN.png", b"no image")),
        ("image", ("again.png", good)),
    ]
    reply = client.post("/landing/phantom", files=files, data={"label": "no_lesion"})
    assert reply.status_code == 200
    body = reply.json()
    assert results(reply) == [
        ("accepted", None),
        ("refused", "unknown_format"),
        ("duplicate", "duplicate"),
    ]
    assert [item["file"] for item in body["results"]] == ["a.png", "DOE^JOHN.png", "again.png"]
    assert (body["folder"], body["accepted"]) == ("no_lesion", 1)
    assert "quiet" in body["then"]
    assert paths(landing) == ["no_lesion/a.png"]
    assert (landing / "no_lesion" / "a.png").read_bytes() == good


def test_without_a_label_images_wait_in_a_folder_that_nothing_trains_on(
    client: TestClient, landing: Path
) -> None:
    reply = client.post("/landing/phantom", content=png(2), headers={"Content-Type": "image/png"})
    assert results(reply) == [("accepted", None)]
    assert "train no model" in reply.json()["then"]
    assert [path.split("/")[0] for path in paths(landing)] == ["unlabelled"]


@pytest.mark.parametrize(
    ("path", "data", "status", "code"),
    [
        ("/landing/nothing", {}, 404, "unknown_dataset"),
        ("/landing/%2e%2e", {}, 404, "unknown_dataset"),
        ("/landing/phantom/no_lesion", {}, 404, "not_found"),
        ("/landing/phantom", {"label": "../no_lesion"}, 422, "unknown_label"),
        ("/landing/skin_lesion", {"label": "melanoma"}, 422, "unknown_label"),
        ("/landing/phantom", {"lable": "no_lesion"}, 400, "unknown_field"),
    ],
)
def test_what_cannot_be_meant_writes_nothing(
    client: TestClient,
    installation: Settings,
    path: str,
    data: dict[str, str],
    status: int,
    code: str,
) -> None:
    reply = client.post(path, files={"image": png()}, data=data)
    assert (reply.status_code, reply.json()["error"]["code"]) == (status, code)
    assert not (installation.home / "landing").exists()


def test_a_table_of_labels_is_named_where_labels_come_from_it(client: TestClient) -> None:
    reply = client.post("/landing/skin_lesion", files={"image": png()}, data={"label": "melanoma"})
    assert "metadata.csv" in reply.json()["error"]["message"]
    assert results(client.post("/landing/skin_lesion", files={"image": png()})) == [
        ("accepted", None)
    ]


def test_where_images_may_be_brought_is_listed_with_the_labels(client: TestClient) -> None:
    found = {d["dataset"]: d for d in client.get("/landing").json()["datasets"]}
    assert {"phantom", "brain_mri", "skin_lesion"} <= set(found)
    assert "no_lesion" in {label["label"] for label in found["phantom"]["labels"]}
    assert found["skin_lesion"]["labels"] == []
    assert found["skin_lesion"]["labels_from"].startswith("metadata.csv")


def test_a_folder_that_cannot_be_written_is_a_503_that_shows_no_path(
    client: TestClient, installation: Settings
) -> None:
    (installation.home / "landing").mkdir(parents=True)
    (installation.home / "landing" / "phantom").write_text("a file")
    reply = client.post("/landing/phantom", files={"image": png()})
    assert reply.status_code == 503
    assert str(installation.home) not in reply.text


def test_a_file_leaves_a_line_without_its_name_and_only_uploaders_may_bring_one(
    backend: Backend, installation: Settings, landing: Path
) -> None:
    texts = {}
    for role in Role:
        token, text = mint(f"a-{role}", role)
        add_token(installation, token)
        texts[role] = {"Authorization": f"Bearer {text}"}
    guard = guard_of(installation, tokens=True)
    guard.audit.start()
    app = build_app(guard, replace(backend, note_upload=guard.audit.note_upload))
    guarded = TestClient(app, raise_server_exceptions=False)
    files = [("image", ("DOE^JOHN.png", png(1))), ("image", ("DOE^JANE.png", b"no image"))]
    said = {}
    for role in (Role.PREDICT, Role.METRICS, Role.UPLOAD, Role.ADMIN):
        reply = guarded.post("/landing/phantom", files=files, headers=texts[role])
        said[role] = (reply, reply.status_code)
    assert [status for _, status in said.values()] == [403, 403, 200, 200]
    assert guarded.get("/landing", headers=texts[Role.UPLOAD]).status_code == 200
    assert guarded.get("/model", headers=texts[Role.PREDICT]).json()["may_upload"] is False
    assert guarded.get("/model", headers=texts[Role.ADMIN]).json()["may_upload"] is True
    guard.audit.stop()
    folder = audit_folder(installation)
    found = find_uploads(folder, said[Role.UPLOAD][0].headers["X-Request-ID"])
    assert [(e.token, e.dataset, e.status, e.code, e.folder) for e in found] == [
        ("a-upload", "phantom", "accepted", None, "unlabelled"),
        ("a-upload", "phantom", "refused", "unknown_format", "unlabelled"),
    ]
    assert found[0].sha256
    assert found[0].path == "/landing/{dataset}"
    for file in folder.iterdir():
        assert "DOE" not in file.read_text()
    lines = (folder / "uploads.jsonl").read_text().splitlines()
    assert [json.loads(line)["status"] for line in lines].count("duplicate") == 1
    assert len(paths(landing)) == 1

"""BentoML as its users know it: its client, ``bentoml serve``, a Bento that answers elsewhere."""

import asyncio
import subprocess
import tarfile
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path
from types import SimpleNamespace

import bentoml
import httpx
import pytest
from bentoml._internal.configuration.containers import BentoMLContainer
from bentoml._internal.models import ModelStore
from starlette.testclient import TestClient

from pipelines.access.store import add_token
from pipelines.access.tokens import Role, mint
from pipelines.errors import BundleError, NotFound
from pipelines.release import registry
from pipelines.release.bundle import Decoding, load_bundle, read_manifest, write_manifest
from pipelines.release.card.beside import beside
from pipelines.settings import PROJECT, Settings
from serving import bento
from serving.image_request import Backend
from tests.serving.bundles import make_bundle, png
from tests.serving.running import BENTOML, of_bentoml, served_by_bentoml


@pytest.fixture(scope="module")
def image(tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("images") / "scan.png"
    file.write_bytes(png())
    return file


@pytest.fixture(scope="module")
def built(decided: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A Bento with one bundle, built in a checkout, unpacked in another folder."""
    folder = tmp_path_factory.mktemp("bento")
    archive, unpacked = folder / "medloop.bento", folder / "elsewhere"
    for command in (["build", "--arg", f"bundle={decided}"], ["export", "medloop", str(archive)]):
        subprocess.run([BENTOML, *command], cwd=PROJECT, env=of_bentoml(folder), check=True)
    with tarfile.open(archive) as packed:
        packed.extractall(unpacked, filter="data")
    return unpacked


@pytest.fixture
def model_store(tmp_path: Path) -> Iterator[Path]:
    """BentoML's model store of this process."""
    folder = tmp_path / "models"
    folder.mkdir()
    BentoMLContainer.model_store.set(ModelStore(folder))
    yield folder
    BentoMLContainer.model_store.reset()


def _without_id(reply: dict[str, object]) -> dict[str, object]:
    return {name: value for name, value in reply.items() if name != "request_id"}


def test_its_client_gets_the_answers_of_plain_http(http: httpx.Client, image: Path) -> None:
    fields = {"dataset": "phantom", "target": "spot", "opacity": 0.3}

    def plain(path: str, **data: object) -> httpx.Response:
        files = {"image": image.read_bytes()}
        return http.post(path, files=files, data={k: str(v) for k, v in data.items()})

    with bentoml.SyncHTTPClient(str(http.base_url)) as client:
        predicted = client.predict(image=image)
        assert _without_id(predicted) == _without_id(plain("/predict").json())
        assert predicted["class"] == client.predict(image=image, dataset=None)["class"]
        assert client.gradcam(image=image, **fields) == plain("/gradcam", **fields).content
        explained, same = client.explain(image=image, **fields), plain("/explain", **fields).json()
        for answer in (explained, same):
            answer["prediction"].pop("request_id")
        assert explained == same
        with pytest.raises(bentoml.exceptions.BentoMLException, match="'other' has no champion"):
            client.predict(image=image, dataset="other")


def test_what_it_sends_is_read_by_our_routes_alone(http: httpx.Client) -> None:
    """BentoML's own route would fetch what stands at an address."""
    for path in ("/predict", "/gradcam", "/explain"):
        reply = http.post(path, data={"image": f"{http.base_url}/livez"}, files={"x": b"x"})
        assert reply.json()["error"]["code"] == "not_a_file"


def test_an_api_method_that_is_called_in_this_process_gives_the_same_answer(
    serving_client: TestClient, backend: Backend, image: Path, tmp_path: Path
) -> None:
    from serving.service import MedloopService
    from serving.worker import Worker

    service = object.__new__(MedloopService.inner)  # type: ignore[attr-defined]
    service._worker = object.__new__(Worker)
    service._worker.backend = backend
    plain = serving_client.post("/predict", files={"image": image.read_bytes()}).json()
    reply = asyncio.run(service.predict(image))
    assert _without_id(reply.model_dump(by_alias=True, mode="json")) == _without_id(plain)
    assert asyncio.run(service.gradcam(image)).startswith(b"\x89PNG")
    assert asyncio.run(service.explain(image, target="spot")).target == "spot"
    with pytest.raises(bentoml.exceptions.BentoMLException, match="'other' has no") as refused:
        asyncio.run(service.predict(image, dataset="other"))
    assert refused.value.error_code == 404
    text = tmp_path / "text.png"
    text.write_bytes(b"no image")
    with pytest.raises(bentoml.exceptions.BentoMLException) as refused:
        asyncio.run(service.predict(text))
    assert refused.value.error_code == 415


def test_a_bento_answers_elsewhere_those_who_have_a_token(
    built: Path, image: Path, tmp_path: Path
) -> None:
    home = tmp_path / "home"
    token, text = mint("ward-7", Role.PREDICT)
    add_token(Settings(home=home), token)
    with served_by_bentoml(home, str(built)) as http:
        assert http.post("/predict", files={"image": png()}).status_code == 401
        with bentoml.SyncHTTPClient(str(http.base_url), token=text) as client:
            assert client.predict(image=image)["dataset"] == "phantom"
            assert client.gradcam(image=image).startswith(b"\x89PNG")
        models = http.get("/model", headers={"Authorization": f"Bearer {text}"}).json()
        assert models["registry"] == "pinned"
        assert models["models"][0]["card"]


def test_a_bento_holds_the_program_and_nothing_else(built: Path) -> None:
    kinds = {".py", ".pyc", ".yaml", ".properties", ".css", ".html", ".js", ".svg", ""}
    assert {file.suffix for file in (built / "src").rglob("*") if file.is_file()} <= kinds
    assert {path.name for path in (built / "src").iterdir()} == {
        *("LICENSE", "bentofile.yaml", "datasets", "pipelines", "serving")
    }


def test_its_image_installs_the_versions_of_the_build(built: Path) -> None:
    said = (built / "env/python/requirements.txt").read_text("utf-8").split()
    assert {f"{name}=={version(name)}" for name in ("openvino", "pillow", "bentoml")} <= set(said)
    assert not [line for line in said if line.startswith(("tensorflow", "apache-airflow"))]
    dockerfile = (built / "env/docker/Dockerfile").read_text("utf-8")
    assert "FROM python:3.11-slim" in dockerfile
    assert "USER bentoml" in dockerfile


def test_the_champions_of_all_data_sets_are_built_in_and_stored_once(
    bundle: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, model_store: Path
) -> None:
    brain = make_bundle(tmp_path / "brain_mri-2", dataset="brain_mri", version=2)
    champions = {"phantom": bundle, "brain_mri": brain}
    monkeypatch.setattr(registry, "champion", lambda _, dataset: dataset in champions)
    monkeypatch.setattr(registry, "fetch_champion", lambda _, dataset: champions[dataset])
    some = bento.bundles_to_build_in(bento.Arguments(datasets="brain_mri"))

    info = bento.PinnedChampions(bento.NAME).to_info()

    assert some == {"brain_mri": brain}
    assert bentoml.models.get(info.tag).info.labels == {"phantom": "1", "brain_mri": "2"}
    assert bento.PinnedChampions(bento.NAME).to_info().tag == info.tag
    assert len(list((model_store / bento.NAME).glob("*/model.yaml"))) == 1
    built_in = bento.pinned_bundles(SimpleNamespace(info=SimpleNamespace(all_models=[info])))
    assert [load_bundle(folder).manifest.dataset for folder in built_in] == ["brain_mri", "phantom"]
    assert all(beside(folder).is_file() for folder in built_in)


def test_a_bundle_of_other_pixels_is_not_built_in(tmp_path: Path, model_store: Path) -> None:
    folder = make_bundle(tmp_path / "phantom-1")
    manifest = read_manifest(folder)
    assert manifest.decoding is not None
    pixels = dict.fromkeys(manifest.decoding.pixels, "0" * 64)
    other = Decoding(versions={"pillow": "1.0"}, pixels=pixels, encodings=("PNG RGB",))
    write_manifest(folder, manifest.model_copy(update={"decoding": other}))

    with pytest.raises(BundleError, match=r"pixels of canary/.*differ.*pillow 1.0 there"):
        bento.pin({"phantom": folder})
    assert not any(model_store.iterdir())


def test_without_a_champion_nothing_is_built_and_the_message_says_what_to_do(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(registry, "champion", lambda *_: None)
    with pytest.raises(NotFound, match=r"no champion to build in.*bundle=FOLDER"):
        bento.PinnedChampions(bento.NAME).to_info()

"""What MLflow and bundles hold of an erased image; with a real MLflow and tiny bundles."""

import base64
import json
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from pipelines.erasure.certificate import Certificate
from pipelines.erasure.erase import Asked, Erasure
from pipelines.release import registry, same_pixels
from pipelines.release.bundle import (
    EXPECTED,
    Bundle,
    file_digests,
    load_bundle,
    read_manifest,
    write_manifest,
)
from pipelines.release.predictor import Predictor, open_predictor
from pipelines.settings import Settings
from pipelines.stage import Context
from pipelines.tracking import versions
from pipelines.tracking.artifacts import Artifacts
from pipelines.tracking.client import Tracking, open_tracking
from tests.pipelines.erasure.conftest import PATIENT, Collection
from tests.pipelines.erasure.searching import places_of
from tests.serving.bundles import CLASSES, make_bundle, png

ASKED = Asked("patient", PATIENT, "The patient withdrew consent")


@dataclass(frozen=True)
class Released:
    """A champion whose canary shows an image that will be erased."""

    collection: Collection
    tracking: Tracking
    run_id: str
    gone: bytes
    """The original."""
    sha256: str
    server: Path
    """The server's artifacts."""

    @property
    def bundle(self) -> Path:
        """The local copy."""
        return registry.fetch_champion(self.collection.context, "pets")

    def erase(self, asked: Asked | None = ASKED) -> Certificate:
        made = self.collection
        return Erasure(made.spec, made.context, asked).run(leave_landed=True)

    @property
    def experiment(self) -> Path:
        """Where the server keeps the artifacts of all runs, and of models that they logged."""
        return self.artifacts.parent.parent

    @property
    def artifacts(self) -> Path:
        """The run's artifacts, where the server keeps them."""
        return next(self.server.glob(f"*/{self.run_id}")) / "artifacts"


@pytest.fixture
def released(
    collection: Collection, mlflow_server: Settings, tmp_path: Path, cache: Path
) -> Released:
    settings = collection.context.settings.model_copy(
        update={"mlflow_uri": mlflow_server.tracking_uri}
    )
    made = replace(collection, context=Context(settings, collection.context.store))
    tracking = open_tracking(settings)
    experiment = tracking.experiment("pets", title="Pets")
    tags = {"medloop.prepared": collection.prepared().path}
    run_id = tracking.client.create_run(experiment, tags=tags).info.run_id
    originals = made.originals()
    paths = {r["source_path"]: r["sha256"] for r in made.index()}
    gone = min(paths[path] for path in paths if path.startswith("cat/") and path.endswith(".dcm"))
    folder = _bundle(tmp_path / "bundle", run_id, originals[gone])
    predictor = open_predictor(folder, "openvino", cache=cache, threads=1)
    rows = [_row(predictor, sha256, content) for sha256, content in originals.items()]
    _log(
        tracking,
        run_id,
        tmp_path,
        pd.DataFrame(rows),
        content=originals[gone],
        experiment=experiment,
    )
    tracking.upload(run_id, folder, folder=versions.BUNDLE)
    split = made.divide().path
    registered = versions.register(
        tracking,
        "pets",
        run_id=run_id,
        artifact=versions.BUNDLE,
        about="a test",
        tags={versions.SPLIT_TAG: split, versions.CANDIDATE_TAG: "tiny"},
    )
    versions.set_alias(tracking, "pets", "champion", version=registered.version)
    server = mlflow_server.home / "mlflow/artifacts"
    return Released(made, tracking, run_id, originals[gone], gone, server)


def _bundle(folder: Path, run_id: str, content: bytes) -> Path:
    """A bundle whose first canary image is one of the collection's."""
    make_bundle(folder, dataset="pets", version=None, run_id=run_id)
    bundle = Bundle(folder, read_manifest(folder))
    first = bundle.canary[0].model_copy(update={"file": f"canary/{CLASSES[0]}-0.dcm"})
    (folder / bundle.canary[0].file).unlink()
    (folder / first.file).write_bytes(content)
    expected = [first.model_dump(), *(image.model_dump() for image in bundle.canary[1:])]
    (folder / EXPECTED).write_text(json.dumps(expected))
    files = {e["file"]: (folder / e["file"]).read_bytes() for e in expected}
    decoding = same_pixels.record(files, bundle.manifest.image, bundle.manifest.limits, None)
    changes = {"files": file_digests(folder), "decoding": decoding}
    write_manifest(folder, bundle.manifest.model_copy(update=changes))
    return folder


def _row(predictor: Predictor, sha256: str, content: bytes) -> dict[str, Any]:
    """What the evaluation would have kept of an image's answer."""
    reading = answer(predictor, content)
    return {
        "split": "test",
        "sha256": sha256,
        "label": CLASSES[0],
        "predicted": CLASSES[reading.best],
        **{
            f"probability.{n}": float(p)
            for n, p in zip(CLASSES, reading.probabilities, strict=True)
        },
    }


def answer(predictor: Predictor, content: bytes) -> Any:
    (reading,) = predictor.judge([predictor.see(content)])
    return reading


def _log(
    tracking: Tracking,
    run_id: str,
    folder: Path,
    rows: pd.DataFrame,
    *,
    content: bytes,
    experiment: str,
) -> None:
    """What a candidate's run holds."""
    run = folder / "run"
    for name in ("evaluation", "figures", "model"):
        (run / name).mkdir(parents=True)
    rows.to_parquet(run / "evaluation/predictions.parquet")
    (run / "figures/roc.png").write_bytes(png(1))
    (run / "figures/gradcam.png").write_bytes(content)
    (run / "model/input_example.npy").write_bytes(content)
    pictures = [base64.b64encode(data).decode() for data in (png(1), content)]
    page = "".join(f'<img src="data:image/png;base64,{picture}">' for picture in pictures)
    (run / "evaluation/report.html").write_text(f"<p>Figures</p>{page}")
    named = {"evidence": {"labels": [{"sha256": sha256} for sha256 in rows["sha256"]]}}
    (run / "evaluation/evaluation.json").write_text(json.dumps(named))
    tracking.upload(run_id, run)
    untagged = tracking.client.create_run(experiment).info.run_id
    for name in ("evaluation/predictions.parquet", "figures"):
        tracking.upload(untagged, run / name, folder=name.partition("/")[0])
    model = tracking.client.create_logged_model(experiment, source_run_id=run_id)
    tracking.client.log_model_artifacts(model.model_id, str(run / "model"))


def test_mlflow_and_bundles_forget_the_image_and_the_champion_answers(
    released: Released, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = load_bundle(released.bundle).manifest
    needles = {"bytes": released.gone, "sha256": released.sha256.encode()}
    card = released.bundle.with_name(f"{released.bundle.name}.card.html")
    card.write_text(f"<p>{released.sha256}</p>")
    there = released.artifacts
    folders = (released.collection.home, released.collection.store, released.experiment)
    assert all(places_of(needles, folder) for folder in folders)
    assert len(places_of(needles, released.experiment)) > 5

    certificate = erased_however_often_killed(released, monkeypatch)

    assert places_of(needles, *folders) == []
    bundle = load_bundle(released.bundle)
    assert len(bundle.canary) == len(CLASSES)
    predictor = open_predictor(bundle.folder, "openvino", cache=cache, threads=1)
    assert proves(predictor) == len(CLASSES)
    assert load_bundle(there / versions.BUNDLE).canary == bundle.canary
    assert before.digest in bundle.manifest.digests
    assert bundle.manifest.decoding is not None
    assert bundle.manifest.decoding.pixels.keys() == {image.file for image in bundle.canary}
    assert sorted(p.name for p in (there / "figures").iterdir()) == ["roc.png"]
    page = (there / "evaluation/report.html").read_bytes()
    assert page.count(b"base64,") == 1
    assert base64.b64encode(png(1)) in page
    what = {one.what: one.why for one in certificate.remaining}
    assert "trained on them" in what["weights and figures of version 1 (tiny)"] or (
        "by them" in what["weights and figures of version 1 (tiny)"]
    )
    assert certificate.retrain == "medloop retrain pets --fresh"


class Killed(BaseException):
    """In the place of SIGKILL."""


def erased_however_often_killed(released: Released, monkeypatch: pytest.MonkeyPatch) -> Certificate:
    """Killed before each first deletion and each first upload of a bundle's manifest."""
    died: set[tuple[Any, str]] = set()
    for name in ("delete", "upload"):
        change = getattr(Artifacts, name)

        def change_or_die(self: Artifacts, *args: Any, change: Any = change) -> None:
            path = args[-1]
            if (change, path) not in died and ("canary" in path or path.endswith("bundle.json")):
                died.add((change, path))
                raise Killed
            change(self, *args)

        monkeypatch.setattr(Artifacts, name, change_or_die)
    asked: Asked | None = ASKED
    for _ in range(20):
        try:
            certificate = released.erase(asked)
        except Killed:
            asked = None
        else:
            break
    assert len(died) > 3
    return certificate


def proves(predictor: Predictor) -> int:
    """How many canary images are answered as the bundle says."""
    bundle = predictor.bundle
    for image in bundle.canary:
        said = answer(predictor, (bundle.folder / image.file).read_bytes()).probabilities
        expected = [image.probabilities[name] for name in CLASSES]
        assert said == pytest.approx(expected, abs=bundle.manifest.tolerance), image.file
    return len(bundle.canary)

"""Proof that the loop goes round with nobody at the keyboard.

    python -m benchmarks.prove_unattended [--images 300]

Brings a whole stack up in a folder of its own, with the data set ``phantom``, and then does what
a hospital does: copies files into the landing folder, and asks the service. No command of Medloop
is given. It tells what happens, when, and what woke it:

1. files arrive one by one: a first champion answers;
2. a handful more: they are taken in, and nothing is trained;
3. many more: there is a decision about a second version, and no request fails meanwhile;
4. clean traffic: the monitor keeps silent;
5. traffic from "another scanner": the monitor confirms drift, which starts a retraining.

Exits 1 if a claim fails. Takes about ten minutes on 2 cores.
"""

import argparse
import shutil
import sys
import tempfile
import time
from pathlib import Path

import yaml
from PIL import Image, ImageEnhance, ImageFilter

from benchmarks.claims import Claim, show
from benchmarks.onlooker import Onlooker
from pipelines.phantom import generate
from pipelines.scheduler import RunState
from pipelines.settings import PROJECT, Settings
from stack.testing import running_stack

DATASET = "phantom"
FEW = 20
"""Files that are too few to train for."""
TRAFFIC = 150
"""Pictures asked at a time: three windows of the spec below."""
CHANGES = {
    "candidates": [{"name": "lite0-frozen", "model": "efficientnet_lite0", "recipe": "frozen"}],
    "landing": {
        "group_pattern": r"^(?P<group>subject\d+)_",
        "ignore": ["masks/**"],
        "quiet_seconds": 10,
    },
    "retrain": {"min_new_images": 50, "on_drift": True},
    "monitor": {"schedule": "* * * * *", "window": 50},
}
"""What is set otherwise than in datasets/phantom.yaml: one candidate, and less to wait for."""


def main() -> None:
    """Prove it, print a table, exit 1 if a claim fails."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0] if __doc__ else None)
    parser.add_argument("--images", type=int, default=300, help="phantoms of a delivery")
    images = parser.parse_args().images
    with tempfile.TemporaryDirectory(prefix="prove-unattended-") as folder:
        home = Path(folder)
        fields = {"service_sample_share": 1, "service_sample_seconds": 5}
        with running_stack(None, home=home, datasets=_specs(home), **fields) as settings:
            claims = prove(settings, images=images)
    sys.exit(show(claims, title="Nobody at the keyboard"))


def prove(settings: Settings, *, images: int, size: int = 128) -> list[Claim]:
    """All claims, on a running stack that has the data set and no image yet.

    Args:
        settings: reaches the stack.
        images: how many phantoms a delivery has.
        size: their sides in pixels.
    """
    onlooker = Onlooker(settings, DATASET)
    drawn = settings.home / "drawn"
    for name, seed, number in (("first", 1, images), ("second", 2, images), ("asked", 3, TRAFFIC)):
        generate(drawn / name, seed=seed, images=number, size=size)

    first = _first_champion(onlooker, drawn / "first")
    with onlooker.asking(_pictures(drawn / "first")[0]) as asked:
        few = _too_few(onlooker, drawn / "second", first)
        second = _second_version(onlooker, drawn / "second", few)
        quiet = _clean_traffic(onlooker, drawn / "asked", second)
        woken = _another_scanner(onlooker, drawn / "asked", second)
    return [
        _claim("files in the landing folder become a champion", "promote", first),
        _claim(f"{FEW} new files are taken in, nothing is trained", "too_few", few),
        _claim(f"{images} new files lead to a decision", "promote, refuse or unchanged", second),
        Claim("clean traffic wakes nothing", "no run", quiet, quiet == "no run"),
        _claim("traffic that drifted wakes a retraining", "promote, refuse or unchanged", woken),
        Claim(
            "no request fails meanwhile",
            "0",
            f"{asked.failures} of {asked.requests}",
            asked.requests > 0 and not asked.failures,
        ),
    ]


def _first_champion(onlooker: Onlooker, drawn: Path) -> RunState:
    onlooker.tell(f"copying {len(_files(drawn))} files into the landing folder, one by one")
    _deliver(onlooker, drawn, _files(drawn))
    run = onlooker.await_run("retrain", after=None)
    onlooker.tell(f"version {onlooker.await_version()} is in service")
    return run


def _too_few(onlooker: Onlooker, drawn: Path, before: RunState) -> RunState:
    onlooker.tell(f"copying {FEW} more")
    _deliver(onlooker, drawn, _files(drawn)[:FEW])
    return onlooker.await_run("retrain", after=before)


def _second_version(onlooker: Onlooker, drawn: Path, before: RunState) -> RunState:
    rest = _files(drawn)[FEW:]
    onlooker.tell(f"copying {len(rest)} more")
    served = onlooker.await_version()
    _deliver(onlooker, drawn, rest)
    run = onlooker.await_run("retrain", after=before)
    if run.state_of("promote") == "success":
        # The service follows within seconds; until then it answers with the version before, and
        # those answers are none of the new one's windows.
        onlooker.tell(f"version {onlooker.await_version(other_than=served)} is in service")
    return run


def _clean_traffic(onlooker: Onlooker, drawn: Path, before: RunState) -> str:
    pictures = _pictures(drawn)
    onlooker.tell(f"asking {len(pictures)} clean pictures")
    for picture in pictures:
        onlooker.service.predict(picture, dataset=DATASET)
    watched = onlooker.run("monitor")
    for _ in range(2):
        watched = onlooker.await_run("monitor", after=watched)
    later = onlooker.run("retrain")
    return "no run" if later and later.run == before.run else f"{later.run if later else None}"


def _another_scanner(onlooker: Onlooker, drawn: Path, before: RunState) -> RunState:
    pictures = _pictures(drawn)
    folder = drawn.with_name("another-scanner")
    folder.mkdir()
    onlooker.tell(f"asking {len(pictures)} pictures of a scanner that is brighter and less sharp")
    for picture in pictures:
        seen = Image.open(picture).convert("L").filter(ImageFilter.GaussianBlur(1.5))
        other = folder / picture.name
        ImageEnhance.Brightness(seen).enhance(1.4).save(other)
        onlooker.service.predict(other, dataset=DATASET)
    return onlooker.await_run("retrain", after=before)


def _claim(what: str, expected: str, run: RunState) -> Claim:
    """That a run which nobody started ended well and decided as expected."""
    decisions = ("promote", "refuse", "unchanged", "too_few")
    decided = next((d for d in decisions if run.state_of(d) == "success"), "nothing")
    woken = run.run.startswith("asset_triggered")
    holds = woken and run.state == "success" and decided in expected
    return Claim(what, expected, decided if woken else f"{decided}, by hand", holds)


def _deliver(onlooker: Onlooker, drawn: Path, files: list[Path]) -> None:
    """Copy files as a slow share does: one by one, each growing."""
    landing = drawn.parents[1] / "landing" / DATASET
    for file in files:
        target = landing / file.relative_to(drawn)
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(file, target)
        time.sleep(0.02)
    onlooker.tell("copied")


def _files(folder: Path) -> list[Path]:
    return sorted(p for p in folder.rglob("*") if p.is_file() and "masks" not in p.parts)


def _pictures(folder: Path) -> list[Path]:
    """The pictures that are neither copies (subjects from 9000 on) nor faulty, classes in turn."""
    return sorted(folder.glob("*_lesion/subject?[0-8]*_slice*"), key=lambda p: p.name)


def _specs(home: Path) -> Path:
    """A folder with the data set's spec, changed."""
    spec = yaml.safe_load((PROJECT / "datasets" / f"{DATASET}.yaml").read_text("utf-8"))
    datasets = home / "datasets"
    datasets.mkdir()
    text = yaml.safe_dump(spec | CHANGES, sort_keys=False)
    (datasets / f"{DATASET}.yaml").write_text(text, "utf-8")
    return datasets


if __name__ == "__main__":
    main()

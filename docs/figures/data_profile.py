"""Copy pictures of a data profile to docs/images/profile-<dataset>-<picture>.png.

    python docs/figures/data_profile.py brain_mri means differences deep_map

Profiles the newest training set, or the one that ``--prepared`` names, unless its profile exists.
"""

import argparse
import io
from pathlib import Path

from PIL import Image, ImageOps

from pipelines import loop
from pipelines.outputs import Prepared
from pipelines.profile import look
from pipelines.profile.page import SECTIONS
from pipelines.spec import load_spec
from pipelines.stage import default_context, existing_output

TARGET = Path(__file__).resolve().parent.parent / "images"
WIDTH = 1200


def main() -> None:
    """Copy the pictures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("dataset")
    parser.add_argument("pictures", nargs="+", choices=sorted(SECTIONS))
    parser.add_argument(
        "--prepared", help="ID of the training set; that of the newest snapshot if none"
    )
    parser.add_argument("--target", type=Path, default=TARGET)
    chosen = parser.parse_args()
    spec, context = load_spec(chosen.dataset), default_context()
    profile = look.run(spec, context, _prepared(chosen.dataset, chosen.prepared))
    for name in chosen.pictures:
        content = context.store.read(f"{profile.path}/pictures/{name}.png")
        file = chosen.target / f"profile-{spec.name.replace('_', '-')}-{name.replace('_', '-')}.png"
        _save_small(content, file)
        print(f"{file}: {file.stat().st_size / 1024:.0f} kB")


def _prepared(dataset: str, identity: str | None) -> Prepared:
    if identity is None:
        return loop.latest_prepared(dataset)
    found = existing_output(default_context(), f"{dataset}/training_sets/{identity}", Prepared)
    if found is None:
        raise SystemExit(
            f"There is no training set {dataset}/training_sets/{identity} in the store."
        )
    return found


def _save_small(content: bytes, file: Path) -> None:
    """With 32 levels a channel: noise hardly compresses otherwise."""
    picture = Image.open(io.BytesIO(content)).convert("RGB")
    picture.thumbnail((WIDTH, WIDTH))
    ImageOps.posterize(picture, 5).save(file, optimize=True)


if __name__ == "__main__":
    main()

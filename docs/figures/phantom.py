"""Draw docs/images/phantom.png: a sheet of synthetic head phantoms, lesions outlined.

python docs/figures/phantom.py
"""

import argparse
import io
import tempfile
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure
from PIL import Image, ImageOps

from pipelines.phantom import generate
from pipelines.phantom.lesion import LABELS

TARGET = Path(__file__).resolve().parent.parent / "images" / "phantom.png"
COLUMNS = 10


def main() -> None:
    """Draw the sheet."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--target", type=Path, default=TARGET)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        landing = Path(folder) / "phantom"
        generate(landing, seed=arguments.seed, images=150)
        figure = draw(landing)
    arguments.target.parent.mkdir(parents=True, exist_ok=True)
    _save_small(figure, arguments.target)
    print(f"{arguments.target}: {arguments.target.stat().st_size / 1024:.0f} kB")


def draw(landing: Path) -> Figure:
    """Two rows a class, one subject a picture; the second row shows where its lesion is."""
    figure = Figure(figsize=(COLUMNS * 1.5, 6 * 1.5 + 0.3), facecolor="black", layout="constrained")
    axes = figure.subplots(6, COLUMNS)
    for row, label in enumerate(LABELS):
        first_slices = sorted((landing / label).glob("*_slice1.*"))[: 2 * COLUMNS]
        for place, path in enumerate(first_slices):
            cell = axes[2 * row + place // COLUMNS, place % COLUMNS]
            cell.imshow(np.asarray(Image.open(path)), cmap="gray", vmin=0, vmax=255)
            cell.set_axis_off()
            mask = landing / "masks" / label / f"{path.stem}.png"
            if place >= COLUMNS and mask.exists():
                outline = np.asarray(Image.open(mask))
                cell.contour(outline, levels=[127], colors="#ff9f1c", linewidths=1)
        axes[2 * row, 0].set_title(label, color="white", loc="left", fontsize=11)
    return figure


def _save_small(figure: Figure, target: Path) -> None:
    """Save with 32 levels a channel: noise hardly compresses otherwise."""
    full = io.BytesIO()
    figure.savefig(full, dpi=64)
    ImageOps.posterize(Image.open(full).convert("RGB"), 5).save(target, optimize=True)


if __name__ == "__main__":
    main()

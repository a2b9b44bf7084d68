"""Which library decodes pictures: Pillow or OpenCV. Prints the tables of docs/decisions/decoder.md.

uv run --with 'opencv-python-headless==5.0.*' python -m benchmarks.decoders [--seconds 0.6]
"""

import argparse
import io
import statistics
import time
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from rich.console import Console
from rich.progress import track
from rich.table import Table
from scipy.ndimage import gaussian_filter

from pipelines.errors import BadImage
from pipelines.imaging import decode as medloop
from pipelines.imaging.depth import stretch

Picture = NDArray[np.uint8]
Decoder = Callable[[bytes], Picture]
FORMATS = ("JPEG", "PNG", "TIFF", "BMP", "WEBP")
SIDES = (224, 1024)


def pillow(data: bytes) -> Picture:
    """Pillow alone."""
    return np.array(Image.open(io.BytesIO(data)).convert("RGB"))


def opencv(data: bytes) -> Picture:
    """OpenCV alone, as RGB."""
    import cv2

    decoded = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR_RGB)
    if decoded is None:
        raise ValueError("not decoded")
    picture: Picture = decoded
    return picture


DECODERS: dict[str, Decoder] = {"Pillow": pillow, "OpenCV": opencv, "Medloop": medloop}


def picture(side: int) -> Picture:
    """Smooth blobs with a scanner's noise, uint8 (side, side, 3)."""
    lots = np.random.default_rng(0)
    smooth = gaussian_filter(lots.normal(size=(side, side, 3)), (side / 20, side / 20, 0))
    scaled = 200 * (smooth - smooth.min()) / np.ptp(smooth) + lots.normal(0, 3, (side, side, 1))
    return np.asarray(scaled.clip(0, 255), np.uint8)


def encoded(shown: NDArray[Any], format: str, **options: Any) -> bytes:
    """A picture as a file."""
    target = io.BytesIO()
    Image.fromarray(shown).save(target, format, **options)
    return target.getvalue()


def milliseconds(decoder: Decoder, data: bytes, *, seconds: float) -> float:
    """Median time of one decoding, measured for so long."""
    times: list[float] = []
    end = time.perf_counter() + seconds
    while time.perf_counter() < end or len(times) < 5:
        begin = time.perf_counter()
        decoder(data)
        times.append(1000 * (time.perf_counter() - begin))
    return statistics.median(times)


def malformed() -> dict[str, tuple[bytes, Picture]]:
    """Files that are damaged, or that naive decoding shows wrongly, with the right picture."""
    shown = picture(224)
    grey = shown[..., 0]
    half = {format: (data := encoded(shown, format))[: len(data) // 2] for format in FORMATS}
    png, bmp = encoded(shown, "PNG"), encoded(shown, "BMP")
    wrong = png[: len(png) // 2] + bytes([png[len(png) // 2] ^ 1]) + png[len(png) // 2 + 1 :]
    turned, exif = io.BytesIO(), Image.Exif()
    exif[0x0112] = 6
    Image.fromarray(np.ascontiguousarray(np.rot90(shown))).save(turned, "PNG", exif=exif)
    hidden = np.concatenate([shown, np.zeros((224, 224, 1), np.uint8)], axis=2)
    deep = grey.astype(np.uint16) * 10 + 500
    full_contrast = np.repeat(stretch(deep)[..., None], 3, axis=2)
    cmyk = io.BytesIO()
    Image.fromarray(shown).convert("CMYK").save(cmyk, "JPEG", quality=95)
    jpeg = encoded(shown, "JPEG")
    progressive = encoded(shown, "JPEG", progressive=True)
    return {f"half a {format}": (data, shown) for format, data in half.items()} | {
        "a JPEG but for its last 2 %": (jpeg[: len(jpeg) * 98 // 100], shown),
        "half a progressive JPEG": (progressive[: len(progressive) // 2], shown),
        "half a JPEG, then an end mark": (half["JPEG"] + b"\xff\xd9", shown),
        "half a JPEG, then zeros": (half["JPEG"] + bytes(len(half["JPEG"])), shown),
        "a wrong bit in a PNG": (wrong, shown),
        "a BMP called .png": (bmp, shown),
        "EXIF orientation 6": (turned.getvalue(), shown),
        "wholly transparent": (encoded(hidden, "PNG"), np.zeros_like(shown)),
        "12 bits in 16, grey": (encoded(deep, "PNG"), full_contrast),
        "CMYK JPEG": (cmyk.getvalue(), shown),
    }


def verdict(decoder: Decoder, data: bytes, right: Picture) -> str:
    """``right``, ``refused``, or ``WRONG`` pixels without a word."""
    try:
        found = decoder(data)
    except BadImage as error:
        return f"refused: {error.reason}"
    except Exception:  # each library has errors of its own
        return "refused"
    same_shape = found.shape == right.shape
    close = same_shape and np.abs(found.astype(int) - right).mean() < 12
    return "right" if close else "[bold red]WRONG[/]"


def main() -> None:
    """Print both tables."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--seconds", type=float, default=0.6, help="for one cell (%(default)s)")
    seconds: float = parser.parse_args().seconds
    console = Console()
    speed = Table(title="median ms to decode")
    for column in ("format", *(f"{name} {side}²" for side in SIDES for name in DECODERS)):
        speed.add_column(column)
    for format in track(FORMATS, "Timing", transient=True):
        files = {side: encoded(picture(side), format) for side in SIDES}
        cells = [
            milliseconds(decoder, files[side], seconds=seconds)
            for side in SIDES
            for decoder in DECODERS.values()
        ]
        speed.add_row(format, *(f"{cell:.2f}" for cell in cells))
    console.print(speed)
    trust = Table("file", *DECODERS, title="what each makes of a difficult file")
    for name, (data, right) in malformed().items():
        trust.add_row(name, *(verdict(decoder, data, right) for decoder in DECODERS.values()))
    console.print(trust)


if __name__ == "__main__":
    main()

"""Pairs of pictures for a person to look at."""

import base64
import io

import pandas as pd
from PIL import Image

from pipelines import imaging
from pipelines.data.restore import originals
from pipelines.data.snapshots import Row
from pipelines.stage import Context

PAIRS_SHOWN = 36
PACKS_READ = 8
SIDE = 144


def pictures(context: Context, index: list[Row], shown: pd.DataFrame) -> dict[str, str]:
    """sha256 → small JPEG as a data URI, of the images that a table of pairs names.

    Args:
        context: settings and store.
        index: the snapshot's.
        shown: pairs, as `choose` gives them.
    """
    wanted = {*shown["first_sha256"], *shown["second_sha256"]}
    rows = {row["sha256"]: row for row in index if row["sha256"] in wanted}
    return {row["sha256"]: _data_uri(data) for row, data in originals(context, rows.values())}


def choose(pairs: pd.DataFrame, index: list[Row]) -> pd.DataFrame:
    """A few dozen pairs, from the most to the least alike, out of few packs.

    Args:
        pairs: with ``first_sha256``, ``second_sha256`` and ``correlation``.
        index: the snapshot's; says which pack an image is in.
    """
    pack = {row["sha256"]: row["file"] for row in index}
    ranked = pairs.sort_values(["correlation", "first_sha256", "second_sha256"], ascending=False)
    read: set[str] = set()
    near: list[int] = []
    for place, pair in enumerate(ranked.itertuples()):
        packs = {pack[str(pair.first_sha256)], pack[str(pair.second_sha256)]}
        if len(read | packs) <= PACKS_READ:
            read |= packs
            near.append(place)
    step = max(1, -(-len(near) // PAIRS_SHOWN))
    return ranked.iloc[near[::step]].reset_index(drop=True)


def _data_uri(data: bytes) -> str:
    picture = Image.fromarray(imaging.decode(data))
    picture.thumbnail((SIDE, SIDE))
    jpeg = io.BytesIO()
    picture.save(jpeg, "JPEG", quality=80)
    return f"data:image/jpeg;base64,{base64.b64encode(jpeg.getvalue()).decode()}"

"""Pairs of pictures for a person to look at."""

import base64
import io

import pandas as pd
from PIL import Image

from pipelines import imaging
from pipelines.data.restore import originals
from pipelines.data.revisions import PLACE
from pipelines.stage import Context

PAIRS_SHOWN = 36
PACKS_READ = 8
SIDE = 144


def pictures(context: Context, images: pd.DataFrame, shown: pd.DataFrame) -> dict[str, str]:
    """sha256 → small JPEG as a data URI, of the images that a table of pairs names.

    Args:
        context: settings and store.
        images: the snapshot's, with the columns `PLACE`.
        shown: pairs, as `choose` gives them.
    """
    wanted = {*shown["first_sha256"], *shown["second_sha256"]}
    rows = images.loc[images["sha256"].isin(wanted), list(PLACE)].to_numpy().tolist()
    return {
        row["sha256"]: _data_uri(data)
        for row, data in originals(context, (dict(zip(PLACE, row, strict=True)) for row in rows))
    }


def choose(pairs: pd.DataFrame, images: pd.DataFrame) -> pd.DataFrame:
    """A few dozen pairs, from the most to the least alike, out of few packs.

    Args:
        pairs: with ``first_sha256``, ``second_sha256`` and ``correlation``.
        images: the snapshot's; ``pack`` is where an image is stored.
    """
    pack = dict(zip(images["sha256"], images["pack"], strict=True))
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

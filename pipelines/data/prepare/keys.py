"""A training set: a list of prepared images in the order of a seed.

<dataset>/training_sets/<id>/keys.parquet    one row an image: `KEYS`
<dataset>/training_sets/<id>/stats.json      grey levels of each split and class
<dataset>/training_sets/<id>/manifest.json   `SetManifest`
"""

import hashlib
import io
from collections.abc import Sequence

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from pydantic import BaseModel, ConfigDict

from pipelines.data import revisions
from pipelines.data.prepare.listings import IDENTITY, PLACE, listed
from pipelines.data.prepare.segmenters import Segmenters
from pipelines.data.split.members import members
from pipelines.errors import NotFound
from pipelines.outputs import Prepared, Snapshot, Split
from pipelines.stage import Context, fingerprint
from pipelines.storage import Store

KEYS_FILE = "keys.parquet"
KEYS = pa.schema(
    [
        *((name, pa.string()) for name in IDENTITY),
        ("split", pa.string()),
        ("label", pa.int32()),
        ("group", pa.string()),
        ("source", pa.int32()),
        ("source_path", pa.string()),
    ]
)
"""``keys.parquet`` of a training set; see `pipelines.outputs.Prepared`."""
PLACED = pa.schema([*KEYS, ("part", pa.string()), ("row", pa.int32()), ("lesion", pa.int32())])
"""`KEYS` and `PLACE`."""


class SetManifest(BaseModel):
    """What readers need of a training set's ``manifest.json``."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    output: Prepared
    size: int
    """Side of the square images in pixels."""
    classes: tuple[str, ...]
    """In the order of the labels."""
    made_from: tuple[tuple[str, str], ...]
    """Store paths of each snapshot, and its split, that gave these images."""


def training_rows(
    images: pd.DataFrame, classes: Sequence[str], segmenters: Segmenters | None, *, seed: int
) -> pd.DataFrame:
    """The images in the order of their training set.

    The order is that of a keyed hash of each image. It looks random, and depends on the images and
    the seed only: not on how many deliveries brought them, nor on how Spark divides the work.

    Args:
        images: of `listed_images`.
        classes: their place is the label.
        segmenters: find the lesions to crop to, where images are.
        seed: another seed, another order.

    Returns:
        The columns of `KEYS`, with ``pack``, ``mask_pack`` and ``network``: the number, in
        `Segmenters.every`, of the network that crops the image.
    """
    networks = [
        segmenters.place_of(split, group) if segmenters else 0
        for split, group in zip(images["split"], images["group"], strict=True)
    ]
    finders = [one.sha256 for one in segmenters.every] if segmenters else [""]
    rows = images.assign(
        label=images["label"].map(classes.index).astype("int32"),
        mask=images["mask"].fillna(""),
        network=networks,
        finder=[finders[network] for network in networks],
        order=[hashlib.sha256(f"{seed}:{name}".encode()).hexdigest() for name in images["sha256"]],
    )
    return rows.sort_values(["order", "source_path"], ignore_index=True).drop(columns="order")


def identity_of(rows: pd.DataFrame, *parts: object) -> str:
    """Fingerprint of a training set: its rows in their order, and what else decides it."""
    text = rows[KEYS.names].to_json(orient="values")
    return fingerprint(hashlib.sha256(text.encode()).hexdigest(), *parts)


def placed(store: Store, prepared: Prepared) -> pa.Table:
    """The rows of a training set, in order, each with its place: `PLACED`.

    Raises:
        NotFound: the training set is gone, or images of it are.
        StoreUnavailable: the store does not answer.
    """
    keys = pq.read_table(io.BytesIO(store.read(f"{prepared.path}/{KEYS_FILE}"))).to_pandas()
    places = listed(store, prepared.images)[[*IDENTITY, *PLACE]]
    rows = keys.merge(places, on=IDENTITY, how="left")
    if rows["part"].isna().any():
        lost = rows.loc[rows["part"].isna(), "source_path"]
        raise NotFound(
            f"{len(lost)} images of {store.uri(prepared.path)}, such as {lost.iloc[0]}, are no "
            f"longer in {store.uri(prepared.images)}. Prepare the data set again."
        )
    return pa.Table.from_pandas(rows[PLACED.names], schema=PLACED, preserve_index=False)


def listed_images(context: Context, snapshot: Snapshot, split: Split) -> pd.DataFrame:
    """The images of a split: sha256, source_path, label, group, split, source, and where the bytes
    of each and of its mask are (pack, mask, mask_pack; the last two are null without a mask).

    Raises:
        NotFound: the snapshot lacks images that the split names.
        StoreUnavailable: the store does not answer.
    """
    index = revisions.files(context, snapshot, ["sha256", "source_path", "pack"]).to_pandas()
    columns = ["sha256", "source_path", "label", "cluster", "split", "source"]
    rows = members(context, split.path, columns).to_pandas().rename(columns={"cluster": "group"})
    rows = rows.fillna({"source": 0}).astype({"source": "int32"})
    images = rows[rows["split"].notna()].merge(index, on=["sha256", "source_path"], how="left")
    if images["pack"].isna().any():
        lost = images.loc[images["pack"].isna(), "source_path"]
        raise NotFound(
            f"{len(lost)} images of {split.path} are not in {snapshot.path}, such as "
            f"{lost.iloc[0]}. Split this snapshot again."
        )
    masks = revisions.masks(context, snapshot).select(["image", "sha256", "pack"]).to_pandas()
    masks = masks.set_axis(["sha256", "mask", "mask_pack"], axis="columns").astype("object")
    found: pd.DataFrame = images.merge(masks, on="sha256", how="left")
    return found

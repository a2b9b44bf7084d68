"""Training sets: lists of prepared images, in an order given by a seed.

<dataset>/training_sets/<id>/keys.parquet    one row per image: `KEYS`
<dataset>/training_sets/<id>/stats.json      grey levels of each split and class
<dataset>/training_sets/<id>/manifest.json   `SetManifest`
"""

import hashlib
from collections.abc import Sequence

import pandas as pd
import pyarrow as pa
from pydantic import BaseModel, ConfigDict

from pipelines.data import revisions
from pipelines.data.parquet_files import read_table
from pipelines.data.prepare.listings import IDENTITY, LOCATION, listed
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
"""`KEYS` and `LOCATION`."""


class SetManifest(BaseModel):
    """The fields of a training set's ``manifest.json`` that readers need."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    output: Prepared
    size: int
    """Side of the square images in pixels."""
    classes: tuple[str, ...]
    """In the order of the labels."""
    made_from: tuple[tuple[str, str], ...]
    """Store paths of each snapshot and split with these images."""


def training_rows(
    images: pd.DataFrame, classes: Sequence[str], segmenters: Segmenters | None, *, seed: int
) -> pd.DataFrame:
    """The images in the order of their training set.

    The order is that of a hash of seed and image. It looks random, and depends on images and seed
    only, not on deliveries or Spark partitions.

    Args:
        images: from `listed_images`.
        classes: the label is the index into them.
        segmenters: networks that find the lesions, if images are cropped to them.
        seed: seed of the order.

    Returns:
        The columns of `KEYS`, with ``pack``, ``mask_pack`` and ``network``: index into
        `Segmenters.every`.
    """
    networks = [
        segmenters.index_of(split, group) if segmenters else 0
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
    """Fingerprint of a training set: its rows in order, and the other inputs."""
    text = rows[KEYS.names].to_json(orient="values")
    return fingerprint(hashlib.sha256(text.encode()).hexdigest(), *parts)


def placed(store: Store, prepared: Prepared) -> pa.Table:
    """The rows of a training set, in order, with the location of each image: `PLACED`.

    Raises:
        NotFound: the training set, or an image of it, does not exist.
        StoreUnavailable: the store does not answer.
    """
    keys = read_table(store, f"{prepared.path}/{KEYS_FILE}").to_pandas()
    locations = listed(store, prepared.images)[[*IDENTITY, *LOCATION]]
    rows = keys.merge(locations, on=IDENTITY, how="left")
    if rows["part"].isna().any():
        missing = rows.loc[rows["part"].isna(), "source_path"]
        raise NotFound(
            f"{len(missing)} images of {store.uri(prepared.path)}, such as {missing.iloc[0]}, are "
            f"no longer in {store.uri(prepared.images)}. Prepare the data set again."
        )
    return pa.Table.from_pandas(rows[PLACED.names], schema=PLACED, preserve_index=False)


def listed_images(context: Context, snapshot: Snapshot, split: Split) -> pd.DataFrame:
    """The images of a split: sha256, source_path, label, group, split, source, pack, mask (sha256)
    and mask_pack. The last two are null without a mask.

    Raises:
        NotFound: the snapshot lacks images of the split.
        StoreUnavailable: the store does not answer.
    """
    index = revisions.files(context, snapshot, ["sha256", "source_path", "pack"]).to_pandas()
    columns = ["sha256", "source_path", "label", "cluster", "split", "source"]
    rows = members(context, split.path, columns).to_pandas().rename(columns={"cluster": "group"})
    rows = rows.fillna({"source": 0}).astype({"source": "int32"})
    images = rows[rows["split"].notna()].merge(index, on=["sha256", "source_path"], how="left")
    if images["pack"].isna().any():
        missing = images.loc[images["pack"].isna(), "source_path"]
        raise NotFound(
            f"{len(missing)} images of {split.path} are not in {snapshot.path}, such as "
            f"{missing.iloc[0]}. Split this snapshot again."
        )
    masks = revisions.masks(context, snapshot).select(["image", "sha256", "pack"]).to_pandas()
    masks = masks.set_axis(["sha256", "mask", "mask_pack"], axis="columns").astype("object")
    found: pd.DataFrame = images.merge(masks, on="sha256", how="left")
    return found

"""The images of a split, and where their bytes are: the one place that joins tables and split."""

import pandas as pd

from pipelines.data import revisions
from pipelines.data.split.members import members
from pipelines.errors import NotFound
from pipelines.outputs import Snapshot, Split
from pipelines.stage import Context


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

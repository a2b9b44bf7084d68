"""Before anything is trained: what a training set holds.

Judges one row an image, planned by the split or listed by the training set:

- ``source_path``, ``sha256``, ``group``;
- ``planned_split``, ``planned_label`` by the split; ``split``, ``label`` by the training set (null
  where the image is missing from one of them); labels are indices into the spec's classes;
- ``part``: the file that holds its pixels;
- ``damage``: null, but for one more row for each part that is missing or damaged, with what is
  wrong;
- ``splits_of_group``, ``splits_of_sha256``: in how many splits the row's group and bytes stand;
- ``mean_shift``, ``std_shift``: how far the row's split lies from training, in grey levels.
"""

from typing import TYPE_CHECKING

from pipelines.spec import DatasetSpec

if TYPE_CHECKING:
    from great_expectations import ExpectationSuite
    from great_expectations.expectations import Expectation

MOST_SHIFT = 15
"""Grey levels by which the splits' mean or deviation may differ before somebody should look."""


def suite(spec: DatasetSpec) -> "ExpectationSuite":
    """The suite of a data set's training set."""
    import great_expectations as gx

    return gx.ExpectationSuite(
        name=f"{spec.name}.prepared",
        expectations=[*_images(spec), *_splits(), *_pixels()],
    )


def _images(spec: DatasetSpec) -> "list[Expectation]":
    import great_expectations.expectations as gxe
    from great_expectations.expectations.row_conditions import Column

    last = len(spec.class_names) - 1
    image = Column("damage").is_null()
    return [
        gxe.ExpectColumnValuesToBeNull(
            column="damage", description="Every part is there, with the sha256 of its name"
        ),
        gxe.ExpectColumnPairValuesToBeEqual(
            column_A="planned_split",
            column_B="split",
            row_condition=image,
            description="Every image of the split is in the training set, as it says, and no other",
        ),
        gxe.ExpectColumnPairValuesToBeEqual(
            column_A="planned_label",
            column_B="label",
            row_condition=image,
            description="Every image has the label that the split gives it",
        ),
        gxe.ExpectCompoundColumnsToBeUnique(
            column_list=["source_path", "sha256"],
            row_condition=image,
            description="Every image is in the training set once",
        ),
        gxe.ExpectColumnValuesToBeBetween(
            column="label",
            min_value=0,
            max_value=last,
            description=f"Every label is one of 0 to {last}",
        ),
    ]


def _splits() -> "list[Expectation]":
    import great_expectations.expectations as gxe

    return [
        gxe.ExpectColumnValuesToBeBetween(
            column="splits_of_group", max_value=1, description="No group stands in two splits"
        ),
        gxe.ExpectColumnValuesToBeBetween(
            column="splits_of_sha256",
            max_value=1,
            description="No image's bytes stand in two splits",
        ),
    ]


def _pixels() -> "list[Expectation]":
    import great_expectations.expectations as gxe
    from great_expectations.expectations.row_conditions import Column

    return [
        gxe.ExpectColumnMaxToBeBetween(
            column=f"{what}_shift",
            max_value=MOST_SHIFT,
            row_condition=Column("split") == split,
            severity="warning",
            description=f"The {what} level of {split} is within {MOST_SHIFT} of training's",
        )
        for split in ("validation", "test")
        for what in ("mean", "std")
    ]

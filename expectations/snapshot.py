"""Before anything is prepared: what a snapshot holds, and how it is split.

Judges one row an image of the snapshot: the columns of `pipelines.outputs.Snapshot` and

- ``shorter_side``, ``megapixels``, ``megabytes``;
- ``copy_of``: the first path with the same bytes, null for the first;
- ``imbalance``: how many images the largest class has for each one of this row's class;
- ``split`` and ``excluded`` (why it is in none), and ``cluster``: what must stay together;
- ``splits_of_cluster``, ``splits_of_group``, ``splits_of_sha256``: in how many splits the
  row's cluster, its patient or lesion, and its bytes stand; ``labels_of_sha256``: how many
  labels its bytes have. Null for images in no split.
"""

from typing import TYPE_CHECKING

from expectations.images import image_expectations
from pipelines.outputs import SPLITS
from pipelines.spec import DatasetSpec

if TYPE_CHECKING:
    from great_expectations import ExpectationSuite
    from great_expectations.expectations import Expectation

MEAN_LEVELS = (5, 250)
"""Where the mean grey level of a collection of pictures lies, of 0 to 255."""
LEAST_DEVIATION = 5
"""Mean standard deviation of the levels within a picture: below, most are nearly blank."""


def suite(spec: DatasetSpec) -> "ExpectationSuite":
    """The snapshot suite of a data set."""
    import great_expectations as gx

    return gx.ExpectationSuite(
        name=f"{spec.name}.snapshot",
        expectations=[
            *_amounts(spec),
            *image_expectations(spec, rows=None),
            *_pixels(),
            *_splits(spec),
        ],
    )


def _amounts(spec: DatasetSpec) -> "list[Expectation]":
    import great_expectations.expectations as gxe
    from great_expectations.expectations.row_conditions import Column

    checks = spec.checks
    return [
        *(
            gxe.ExpectTableRowCountToBeBetween(
                min_value=checks.min_per_class,
                row_condition=Column("label") == name,
                description=f"There are at least {checks.min_per_class} images of {name}",
            )
            for name in spec.class_names
        ),
        gxe.ExpectColumnMaxToBeBetween(
            column="imbalance",
            max_value=checks.max_imbalance,
            description="The largest class has at most "
            f"{checks.max_imbalance:g} times the images of the smallest",
        ),
        gxe.ExpectColumnValuesToBeNull(
            column="copy_of",
            mostly=1 - checks.max_duplicates,
            description=f"At most {checks.max_duplicates:.1%} of the images are exact copies",
        ),
        gxe.ExpectCompoundColumnsToBeUnique(
            column_list=["source_path", "sha256"], description="Every image stands there once"
        ),
    ]


def _pixels() -> "list[Expectation]":
    import great_expectations.expectations as gxe

    low, high = MEAN_LEVELS
    return [
        gxe.ExpectColumnMeanToBeBetween(
            column="mean",
            min_value=low,
            max_value=high,
            severity="warning",
            description=f"The images are neither black nor white (mean level {low} to {high})",
        ),
        gxe.ExpectColumnMeanToBeBetween(
            column="std",
            min_value=LEAST_DEVIATION,
            severity="warning",
            description=f"The images have contrast (mean deviation at least {LEAST_DEVIATION})",
        ),
    ]


def _splits(spec: DatasetSpec) -> "list[Expectation]":
    import great_expectations.expectations as gxe
    from great_expectations.expectations.row_conditions import Column

    kept_together = {
        "cluster": "No cluster of near duplicates or related images stands in two splits",
        "group": "No patient or lesion stands in two splits",
        "sha256": "No image's bytes stand in two splits",
    }
    return [
        gxe.ExpectColumnValuesToNotBeNull(
            column="excluded",
            row_condition=Column("split").is_null(),
            description="Every image is in a split, or it is said why not",
        ),
        *(
            gxe.ExpectColumnValuesToBeBetween(
                column=f"splits_of_{what}", max_value=1, description=description
            )
            for what, description in kept_together.items()
        ),
        gxe.ExpectColumnValuesToBeBetween(
            column="labels_of_sha256",
            max_value=1,
            severity="warning",
            description="No image's bytes have two labels",
        ),
        *(
            gxe.ExpectColumnDistinctValuesToContainSet(
                column="label",
                value_set=list(spec.class_names),
                row_condition=Column("split") == name,
                description=f"Every class stands in the {name} split",
            )
            for name in SPLITS
        ),
    ]

"""Before anything enters: what a landing folder holds.

Judges one row a landed file: the columns of `pipelines.outputs.Landing` with ``shorter_side``,
``megapixels`` and ``megabytes``. ``reason`` tells why a file was refused; it is null for those
that were accepted.
"""

from typing import TYPE_CHECKING

from expectations.images import image_expectations
from pipelines.spec import DatasetSpec

if TYPE_CHECKING:
    from great_expectations import ExpectationSuite


def suite(spec: DatasetSpec) -> "ExpectationSuite":
    """The landing suite of a data set.

    A landing may bring a few new images of one class to a snapshot that has thousands of all,
    so too few images of a class are a warning here; the snapshot's suite insists on them.
    """
    import great_expectations as gx
    import great_expectations.expectations as gxe
    from great_expectations.expectations.row_conditions import Column

    checks, accepted = spec.checks, Column("reason").is_null()
    return gx.ExpectationSuite(
        name=f"{spec.name}.landing",
        expectations=[
            gxe.ExpectColumnValuesToBeNull(
                column="reason",
                mostly=1 - checks.max_quarantined,
                description=f"At most {checks.max_quarantined:.1%} of the landed files are refused",
            ),
            gxe.ExpectColumnValuesToBeUnique(
                column="source_path", description="Every file is listed once"
            ),
            *image_expectations(spec, rows=accepted),
            *(
                gxe.ExpectTableRowCountToBeBetween(
                    min_value=checks.min_per_class,
                    row_condition=accepted & (Column("label") == name),
                    severity="warning",
                    description=f"At least {checks.min_per_class} images of {name} landed",
                )
                for name in spec.class_names
            ),
        ],
    )

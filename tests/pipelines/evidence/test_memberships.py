"""Images are divided by what is known of them, and by nothing that divides nothing."""

import pandas as pd

from pipelines.evidence.memberships import MOST_VALUES, REST, memberships


def facts(**columns: object) -> pd.DataFrame:
    """Facts of six images; ``metadata_`` stands for the prefix of the collection's fields."""
    plain: dict[str, object] = {
        "label": ["ill", "ill", "well", "well", "well", "well"],
        "landing_label": ["ill", "ill", "well", "well", "well", "well"],
        "mode": ["L"] * 6,
        "format": ["JPEG"] * 6,
    }
    named = {name.replace("metadata_", "metadata."): values for name, values in columns.items()}
    return pd.DataFrame(plain | named)


def test_fields_of_the_collection_divide_and_what_is_not_known_is_missing() -> None:
    found = memberships(facts(metadata_sex=["male", "female", "", None, "male", "female"]))

    assert set(found) == {"sex"}
    assert found["sex"].isna().tolist() == [False, False, True, True, False, False]
    assert found["sex"].dropna().tolist() == ["male", "female", "male", "female"]


def test_ages_fall_into_ranges_of_twenty_years() -> None:
    ages = ["5.0", "20", "39.5", "60.0", "80", "85", "", "44"]
    base = pd.concat([facts(), facts()], ignore_index=True).iloc[:8]

    found = memberships(base.assign(**{"metadata.age": ages}))

    told = found["age"]
    assert told.dropna().tolist() == [
        "under 20",
        "20 to 39",
        "20 to 39",
        "60 to 79",
        "80 and over",
        "80 and over",
        "40 to 59",
    ]
    assert pd.isna(told[6])


def test_other_numbers_of_many_values_fall_into_four_ranges_and_of_few_stay() -> None:
    base = pd.concat([facts()] * 10, ignore_index=True)
    many = base.assign(**{"metadata.dose": [str(i) for i in range(60)]})
    few = base.assign(**{"metadata.grade": [str(i % 3) for i in range(60)]})

    assert memberships(many)["dose"].value_counts().tolist() == [15] * 4
    assert set(memberships(few)["grade"]) == {"0", "1", "2"}


def test_classes_that_were_merged_divide_and_others_do_not() -> None:
    merged = facts(landing_label=["bacterial", "viral", "well", "well", "well", "well"])

    assert set(memberships(merged)) == {"class before merging"}
    assert memberships(facts()) == {}


def test_mode_format_and_source_divide_where_they_differ() -> None:
    found = memberships(
        facts(mode=["L", "RGB"] * 3, format=["JPEG", "PNG"] * 3, source=[0, 1, None, 0, 1, 0])
    )

    assert set(found) == {"mode", "format", "source"}
    assert found["source"].dropna().tolist() == [f"source {number}" for number in (0, 1, 0, 1, 0)]


def test_rare_values_of_a_field_of_many_are_one_subgroup() -> None:
    sites = [f"site {i}" for i in range(30)] + [f"site {i}" for i in range(MOST_VALUES)] * 2
    base = pd.concat([facts()] * 10, ignore_index=True)

    found = memberships(base.assign(**{"metadata.site": sites}))["site"]

    assert (found == REST).sum() == 30 - MOST_VALUES
    assert found.nunique() == MOST_VALUES + 1

"""What a label that a landing folder gives means, or why it means nothing."""

from pipelines.spec import DatasetSpec
from pipelines.spelling import folded


def unlabelled(spec: DatasetSpec, label: str | None) -> str:
    """Why a file has no class."""
    known = ", ".join(spec.class_of_label)
    if label is None:
        return f"The file is not in a class folder (known: {known})."
    meant = [other for other in spec.class_of_label if folded(other) == folded(label)]
    advice = f" Did you mean {meant[0]!r}? Every character counts." if meant else ""
    return f"{label!r} is not a class of {spec.name} (known: {known}).{advice}"

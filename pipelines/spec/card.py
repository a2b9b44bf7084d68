"""What a model card says that no program can find out."""

from pydantic import Field

from pipelines.spec.section import Section


class CardSpec(Section):
    """The parts of a model card that a person has to know; the card says of the rest that it is
    not known."""

    intended_use: str | None = None
    """What the model may be used for, and how its answer enters what is decided."""
    users: str | None = None
    """Who may use it, and what they have to know."""
    not_for: tuple[str, ...] = ()
    """What it must not be used for, a sentence each."""
    population: str | None = None
    """Whose images these are: where and when they were taken, who was taken in and who not."""
    acquisition: str | None = None
    """Devices, protocols, and what was done to the images before they came here."""
    reference_standard: str | None = None
    """Who or what said which class an image shows, and how sure that is."""
    limits: tuple[str, ...] = ()
    """What is known to be wrong or missing with data or model, a sentence each."""
    funding: str | None = None
    contact: str | None = Field(default=None, max_length=200)
    """Whom to tell of a wrong answer."""

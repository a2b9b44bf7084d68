"""What every block of a ``datasets/*.yaml`` is made of."""

from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from pipelines.spelling import nfc

Share = Annotated[float, Field(ge=0, le=1)]
Name = Annotated[str, AfterValidator(nfc)]
"""A name that is compared with those of files, folders and columns."""
Slug = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]*$", max_length=60)]


class Section(BaseModel):
    """A block of the file: immutable, and closed to fields it does not know."""

    model_config = ConfigDict(extra="forbid", frozen=True)

"""The base class of the sections of a configuration."""

from pydantic import BaseModel, ConfigDict


class Section(BaseModel):
    """A section: immutable, and an unknown key is an error."""

    model_config = ConfigDict(frozen=True, extra="forbid")

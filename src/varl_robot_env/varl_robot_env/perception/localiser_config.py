"""How things are known that a vision-language model points at."""

from __future__ import annotations

from typing import Annotated, Self

from pydantic import Field, PositiveFloat, model_validator
from varl_common.config import Config


class PointedConfig(Config):
    """A thing that a model points at, and a localiser follows: ``vlm`` in the perception file."""

    looks: Annotated[str, Field(min_length=1)]
    """What it looks like, for the model: "the red block"."""
    behind: Annotated[float, Field(ge=0)] = 0.0
    """From the surface that is seen to the thing's centre, along the line of sight, m. Used with depth."""
    height: float | None = None
    """z of the thing's centre in the base frame, m: tells the distance where there is no depth."""


class LocaliserConfig(Config):
    """When the model is asked, and what is kept."""

    every: PositiveFloat = 1.0
    """Between two pictures that are shown to the model while the localiser is to be taught, s: so far apart that things
    are elsewhere."""
    check_every: PositiveFloat = 30.0
    """Between two once it is taught, s: whether the model still sees the things where the localiser does."""
    first: Annotated[int, Field(ge=10)] = 50
    """Pictures pointed at by which it is taught for the first time; it is taught anew at twice as many, and so on."""
    most: Annotated[int, Field(ge=10)] = 200
    """The newest that it is taught by. Each thing in each is a call of the model."""
    confidence: Annotated[float, Field(gt=0, lt=1)] = 0.5
    """The least that counts as seen; below it the localiser is lost."""
    folder: str = ""
    """Where pictures and pointings are kept, so that a node that starts again need not ask again; empty: nowhere."""

    @model_validator(mode="after")
    def _first_is_not_most(self) -> Self:
        if self.first > self.most:
            raise ValueError(f"first ({self.first}) must not be above most ({self.most})")
        return self

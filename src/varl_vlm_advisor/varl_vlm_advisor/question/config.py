"""What is asked and how it is put: the settings that decide a question's words and picture."""

from __future__ import annotations

from typing import Literal

from pydantic import Field
from varl_common.config import Config


class PictureConfig(Config):
    """How a frame is sent."""

    width: int = Field(default=640, ge=64, le=4096, description="px, wider frames are made this narrow")
    quality: int = Field(default=85, ge=30, le=100, description="JPEG quality")
    draw_axes: bool = Field(default=True, description="draw the action's axes into the picture")


class QuestionConfig(Config):
    """The settings that a question depends on."""

    strategy: Literal["direction", "point", "plan"] = Field(default="plan", description="what is asked of the model")
    template: str = Field(
        default="v1", pattern=r"^v\d+$", description="version of the question's wording, templates/<version>"
    )
    convention: Literal["pixel", "percent", "thousand", "thousand_yx"] = Field(
        default="pixel", description="coordinates of the model's family in the strategy point"
    )
    picture: PictureConfig = PictureConfig()

"""What is asked and how it is put: the settings that decide a question's words and picture."""

from __future__ import annotations

from typing import Literal

from pydantic import Field
from varl_common.config import Config

from varl_vlm_advisor.question.pointing import Convention, convention_of


class PictureConfig(Config):
    """How a frame is sent."""

    width: int = Field(default=640, ge=64, le=4096, description="px, wider frames are made this narrow")
    quality: int = Field(default=85, ge=30, le=100, description="JPEG quality")
    draw_axes: bool = Field(default=True, description="draw the action's axes into the picture")


class CameraConfig(Config):
    """Which camera each strategy shows. Empty: the first that the transition has a picture of."""

    direction: str = Field(default="", description="camera shown with a question for a direction")
    point: str = Field(default="", description="camera shown with a question for a point")
    trajectory: str = Field(default="", description="camera shown with a question for a trajectory")
    plan: str = Field(default="", description="camera shown with a question for a plan")
    verdict: str = Field(default="", description="camera shown with the question whether a task was accomplished")


class QuestionConfig(Config):
    """The settings that a question depends on."""

    strategy: Literal["direction", "point", "trajectory", "plan"] = Field(
        default="plan", description="what is asked of the model"
    )
    template: str = Field(
        default="v1", pattern=r"^v\d+$", description="version of the question's wording, templates/<version>"
    )
    convention: Literal["auto"] | Convention = Field(
        default="auto", description="how the model points, in the strategy point; auto: by its name"
    )
    camera: CameraConfig = CameraConfig()
    picture: PictureConfig = PictureConfig()

    def convention_of(self, model: str) -> Convention:
        """How the model of that name points: as set, or else as its family does."""
        return convention_of(model) if self.convention == "auto" else self.convention

"""Rules that somebody decides who looks: a person, a classifier that was shown what success looks like, an advisor."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import TYPE_CHECKING, Literal, Self

from pydantic import Field, model_validator
from varl_common.errors import VarlError

from varl_robot_env.config.robot import ViewConfig
from varl_robot_env.tasks.rule import Holds, Rule
from varl_robot_env.tasks.situation import Situation

if TYPE_CHECKING:
    from varl_common.vision.classifier import SuccessClassifier


class Verdict(Rule):
    """A rule that no geometry decides."""


class Person(Verdict):
    """A person says so: by the joystick's button or the service ``~/success``."""

    person: Literal[True]

    def holds(self, situation: Situation, holds: Holds) -> bool:
        return situation.marked


class Vlm(Verdict):
    """The advisor says so of a picture: it is asked once, in the last period of an episode.

    A verdict that does not come is no success.
    """

    vlm: Literal[True]

    @model_validator(mode="after")
    def _is_asked_once(self) -> Self:
        if self.held != 1:
            raise ValueError("the advisor is asked once, at an episode's end, so that held has nothing to count")
        return self

    def holds(self, situation: Situation, holds: Holds) -> bool:
        return situation.accomplished


class Classifier(Verdict):
    """A classifier says so of the cameras' pictures: ``varl train-classifier`` taught it."""

    classifier: str
    """Its folder; in a file, relative to that or, where it is not there, to where the program runs."""
    at_least: float | None = Field(None, ge=0.0, le=1.0)
    """Of its certainty; None: what it was found to be precise at."""

    def holds(self, situation: Situation, holds: Holds) -> bool:
        if not situation.pictures:
            raise VarlError("a classifier judges pictures, and there are none; give a camera of the robot a view")
        judge = self.judge()
        least = judge.threshold if self.at_least is None else self.at_least
        return judge.certainty(situation.pictures) >= least

    def check(self, views: Mapping[str, ViewConfig]) -> None:
        """Whether it was taught by such pictures as ``views`` are.

        Raises:
            VarlError: it was not, or there is none.
        """
        judge = self.judge()
        for camera, crop in zip(judge.cameras, judge.crops, strict=True):
            taught = f"{camera} by crop {crop} and side {judge.side}"
            if camera not in views:
                raise VarlError(f"{self.classifier} looks at {taught}, which the robot's file gives no view; write one")
            view = views[camera]
            if (list(view.crop), view.side) != (crop, judge.side):
                raise VarlError(
                    f"{self.classifier} looks at {taught}, and the robot's file has crop {list(view.crop)} and side "
                    f"{view.side}; make them alike, or collect moments and train anew"
                )

    def judge(self) -> SuccessClassifier:
        """It, loaded once.

        Raises:
            VarlError: there is none, or it is damaged.
        """
        return _loaded(self.classifier)


@cache
def _loaded(folder: str) -> SuccessClassifier:
    from varl_common.vision.classifier import SuccessClassifier  # here: transformers takes seconds to load

    return SuccessClassifier(folder)

"""A person's hand on the arm: what a joystick asks for, and whether it holds the arm."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, Self, TypeAlias

import numpy as np
from pydantic import Field, NonNegativeInt, PositiveFloat, model_validator
from varl_common.config import Config
from varl_common.env_description import TURNS

from varl_robot_env.config.names import Topic

_GRIPPER = "gripper"
Said: TypeAlias = Literal["", "success", "veto"]
_NONE = -1  # a button that the joystick does not have


class JoystickConfig(Config):
    """config/joystick/*.yaml: which axis and button means what. Buttons are numbered from 0; -1 is none."""

    topic: Topic = Field(description="sensor_msgs/Joy")
    axes: list[NonNegativeInt] = Field(description="numbers of those for x, y, z", min_length=3, max_length=3)
    gains: list[float] = Field(description="share of full speed at an axis's end", min_length=3, max_length=3)
    turns: list[int] = Field([_NONE] * 3, description="of turns about x, y, z; -1: none", min_length=3, max_length=3)
    turn_gains: list[float] = Field([1.0] * 3, description="as gains, of turns", min_length=3, max_length=3)
    deadzone: float = Field(description="share of an axis's way that counts as none", ge=0, lt=1)
    deadman: int = Field(description="button: held, the person acts", ge=0)
    close: int = Field(description="button: closes the gripper", ge=_NONE)
    open: int = Field(description="button: opens the gripper", ge=_NONE)
    success: int = Field(description="button: the task is solved", ge=_NONE)
    veto: int = Field(_NONE, description="button: it is not, whoever says so", ge=_NONE)
    stale_after: PositiveFloat = Field(description="silence that counts as lost while the arm is held, s")

    @model_validator(mode="after")
    def _one_meaning_each(self) -> Self:
        buttons = [one for one in (self.deadman, self.close, self.open, self.success, self.veto) if one != _NONE]
        axes = [*self.axes, *(one for one in self.turns if one != _NONE)]
        for what, given in (("button", buttons), ("axis", axes)):
            if twice := [one for one in given if given.count(one) > 1]:
                raise ValueError(f"{what} {twice[0]} has two meanings; give each one of its own")
        return self


class Joystick:
    """Turns a joystick's messages into actions.

    The gripper keeps to what it was told last, by the policy or by a button, so that taking over drops nothing.

    Attributes:
        held: a person holds the arm.
    """

    def __init__(self, config: JoystickConfig, axes: Sequence[str]) -> None:
        """``axes``: of the task's action, by name."""
        self._config, self._axes = config, list(axes)
        self._asked = dict.fromkeys(self._axes, 0.0)
        self._buttons: dict[int, bool] = {}
        self._gripper = -1.0
        self._heard_at = 0.0
        self.held = False

    def hear(self, axes: Sequence[float], buttons: Sequence[int], now: float) -> Said:
        """Take a message, received at ``now`` (s, monotonic); returns which of those two buttons went down.

        A message without a button says nothing of it: spacenav's have those alone that changed.

        Raises:
            ValueError: the joystick has no such axes, or they are not numbers; the person holds nothing then.
        """
        config, self._heard_at = self._config, now
        self.held = False
        numbers = [*config.axes, *config.turns]
        if max(numbers) >= len(axes):
            raise ValueError(f"the joystick has {len(axes)} axes; its file in config/joystick names {max(numbers)}")
        pushed = np.array([axes[number] if number >= 0 else 0.0 for number in numbers])
        if not np.isfinite(pushed).all():
            raise ValueError(f"the joystick's axes are not numbers: {pushed.tolist()}")
        beyond = np.maximum(np.abs(pushed) - config.deadzone, 0.0) / (1.0 - config.deadzone)
        gains = np.array([*config.gains, *config.turn_gains])
        x, y, z, *turns = np.clip(gains * np.sign(pushed) * beyond, -1.0, 1.0).tolist()
        self._asked = {"dx": x, "dy": y, "dz": z} | {name: turns[axis] for name, axis in TURNS.items()}
        before = dict(self._buttons)
        self._buttons |= {number: bool(pressed) for number, pressed in enumerate(buttons)}
        self.held = self._buttons.get(config.deadman, False)
        if self.held:
            self._gripper = 1.0 if self._down(config.close) else -1.0 if self._down(config.open) else self._gripper
        words: tuple[tuple[Said, int], ...] = (("veto", config.veto), ("success", config.success))
        return next((word for word, button in words if self._down(button) and not before.get(button)), "")

    def late(self, now: float) -> bool:
        """Whether a person held the arm when the joystick was heard last, and that is too long ago."""
        return self.held and now - self._heard_at > self._config.stale_after

    def lost(self, now: float) -> bool:
        """Whether it is late: it counts as let go from then on."""
        lost = self.late(now)
        if lost:
            self.held, self._buttons = False, {}
        return lost

    def action(self, policys: Sequence[float]) -> Sequence[float]:
        """The person's action while the arm is held, else the policy's, as it is."""
        if self.held:
            return [self._gripper if axis == _GRIPPER else self._asked[axis] for axis in self._axes]
        if _GRIPPER in self._axes and len(policys) == len(self._axes):
            asked = float(policys[self._axes.index(_GRIPPER)])
            self._gripper = asked if np.isfinite(asked) else self._gripper
        return policys

    def _down(self, button: int) -> bool:
        return self._buttons.get(button, False)

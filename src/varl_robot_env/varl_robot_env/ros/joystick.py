"""A person's hand on the arm: what a joystick asks for, and whether it holds the arm."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from pydantic import Field, PositiveFloat
from varl_common.config import Config

_NONE = -1  # a button that the joystick does not have


class JoystickConfig(Config):
    """config/joystick/*.yaml: which axis and button means what. Buttons are numbered from 0; -1 is none."""

    topic: str = Field(description="sensor_msgs/Joy")
    axes: list[int] = Field(description="numbers of those for x, y, z", min_length=3, max_length=3)
    gains: list[float] = Field(description="share of full speed at an axis's end", min_length=3, max_length=3)
    deadzone: float = Field(description="share of an axis's way that counts as none", ge=0, lt=1)
    deadman: int = Field(description="button: held, the person acts", ge=0)
    close: int = Field(description="button: closes the gripper", ge=_NONE)
    open: int = Field(description="button: opens the gripper", ge=_NONE)
    success: int = Field(description="button: the task is solved", ge=_NONE)
    stale_after: PositiveFloat = Field(description="silence that counts as lost while the arm is held, s")


class Joystick:
    """Turns a joystick's messages into actions.

    The gripper keeps to what it was told last, by the policy or by a button, so that taking over drops nothing.

    Attributes:
        held: a person holds the arm.
    """

    def __init__(self, config: JoystickConfig, size: int) -> None:
        """``size``: elements of an action: dx, dy, dz and, where there are four, the gripper."""
        self._config, self._size = config, size
        self._motion = np.zeros(3)
        self._buttons: dict[int, bool] = {}
        self._gripper = -1.0
        self._heard_at = 0.0
        self.held = False

    def hear(self, axes: Sequence[float], buttons: Sequence[int], now: float) -> bool:
        """Take a message, received at ``now`` (s, monotonic); returns whether the success button went down.

        A message without a button says nothing of it: spacenav's have those alone that changed.

        Raises:
            ValueError: the joystick has no such axes, or they are not numbers; the person holds nothing then.
        """
        config, self._heard_at = self._config, now
        self.held = False
        if max(config.axes) >= len(axes):
            raise ValueError(f"the joystick has {len(axes)} axes; its file in config/joystick names {max(config.axes)}")
        pushed = np.array([axes[axis] for axis in config.axes])
        if not np.isfinite(pushed).all():
            raise ValueError(f"the joystick's axes are not numbers: {pushed.tolist()}")
        beyond = np.maximum(np.abs(pushed) - config.deadzone, 0.0) / (1.0 - config.deadzone)
        self._motion = np.clip(np.array(config.gains) * np.sign(pushed) * beyond, -1.0, 1.0)
        before = self._buttons.get(config.success, False)
        self._buttons |= {number: bool(pressed) for number, pressed in enumerate(buttons)}
        self.held = self._buttons.get(config.deadman, False)
        if self.held:
            self._gripper = 1.0 if self._down(config.close) else -1.0 if self._down(config.open) else self._gripper
        return self._down(config.success) and not before

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
            return [*self._motion.tolist(), self._gripper][: self._size]
        if len(policys) == self._size == 4 and np.isfinite(policys[3]):
            self._gripper = float(policys[3])
        return policys

    def _down(self, button: int) -> bool:
        return self._buttons.get(button, False)

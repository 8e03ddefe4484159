"""A person's hand at a gamepad, for tests."""

import threading
from pathlib import Path

import rclpy
from sensor_msgs.msg import Joy
from varl_common.yaml_file import load_yaml

FILE = load_yaml(Path(__file__).parents[1] / "config/joystick/gamepad.yaml")
BUTTONS = {name: number for section in FILE.values() for name, number in section["ros__parameters"]["joystick"].items()}
EVERY = 0.03  # s between two messages of the joystick


class Hand:
    """A person at a gamepad: repeats what it holds until it lets go."""

    def __init__(self) -> None:
        self._publisher = rclpy.create_node("hand").create_publisher(Joy, BUTTONS["topic"], 10)
        self._message: Joy | None = None
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._repeat)
        self._thread.start()

    def hold(
        self, ahead: float = 0.0, left: float = 0.0, up: float = 0.0, buttons: tuple[str, ...] = ("deadman",)
    ) -> None:
        """Push the sticks and press ``buttons`` from now on."""
        down = [BUTTONS[name] for name in buttons]
        self._message = Joy(axes=[left, ahead, 0.0, up, 0.0, 0.0], buttons=[int(i in down) for i in range(16)])

    def let_go(self) -> None:
        self.hold(buttons=())

    def unplug(self) -> None:
        self._message = None

    def close(self) -> None:
        self._end.set()
        self._thread.join()

    def _repeat(self) -> None:
        while not self._end.wait(EVERY):
            if (message := self._message) is not None:
                self._publisher.publish(message)

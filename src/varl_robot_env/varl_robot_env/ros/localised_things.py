"""Things that the advisor points at and a localiser follows: pictures go to the advisor's service, places come out."""

from __future__ import annotations

import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rclpy.node import Node
from varl_common.frame import Frame
from varl_common.image_codec import encode_jpeg
from varl_common.ros.messages import to_frame_msg

from varl_interfaces.msg import Advice
from varl_interfaces.srv import Point
from varl_robot_env.perception.camera_model import CameraModel
from varl_robot_env.perception.lifting import place_at
from varl_robot_env.perception.localiser_config import LocaliserConfig, PointedConfig
from varl_robot_env.perception.pointed_things import PointedThings, Shown
from varl_robot_env.types import Array, Image, Pose

_AT_ONCE = 8  # pictures in one request: what one GPU batches well
_DEADLINE = 60.0  # s: nothing waits for an answer
_REMIND = 30.0  # s between two warnings
_UPRIGHT = (0.0, 0.0, 0.0, 1.0)


class LocalisedThings:
    """Used by the node's executor alone, which may not be held up: requests are answered in callbacks."""

    def __init__(self, node: Node, things: Mapping[str, PointedConfig], config: LocaliserConfig, camera: str) -> None:
        """``camera``: its name.

        Raises:
            VarlError: the folder for pointings cannot be written.
        """
        folder = Path(config.folder).expanduser() / camera if config.folder else None
        self._node, self._things, self._camera = node, things, camera
        self._pointed = PointedThings(list(things), config, folder)
        self._client = node.create_client(Point, "advisor/point")
        self._waiting: list[Shown] = []
        self._open: Any = None
        self._sent_at = 0.0

    @property
    def status(self) -> str:
        """What the localiser does, for a person."""
        return self._pointed.status

    def find(
        self, rgb: Image, depth: NDArray[np.float32] | None, lens: CameraModel, camera: Array
    ) -> tuple[dict[str, Pose], dict[str, float]]:
        """Pose (7,) in the base frame of each thing that is seen, and how sure that is.

        Arguments as those of :func:`~varl_robot_env.perception.colors.find_color`. The orientation is the base frame's.
        """
        poses, confidence = {}, {}
        for name, sighting in self._pointed.find(rgb).items():
            thing = self._things[name]
            place = place_at(sighting.pixel, depth, lens, camera, thing.behind, thing.height)
            if place is not None:
                poses[name], confidence[name] = np.array([*place, *_UPRIGHT]), sighting.confidence
        shown = self._pointed.due(rgb, time.monotonic())
        if shown is not None:
            self._waiting = [*self._waiting, shown][-_AT_ONCE:]
        self._ask()
        return poses, confidence

    def close(self) -> None:
        """End the thread that teaches."""
        self._pointed.close()

    def _ask(self) -> None:
        if self._open is not None and time.monotonic() - self._sent_at > 2 * _DEADLINE:
            self._client.remove_pending_request(self._open)  # the advisor went away with it
            self._open = None
        if self._open is not None or not self._waiting:
            return
        if not self._client.service_is_ready():
            self._node.get_logger().warning(
                f"things known by vlm need the service {self._client.service_name}, which is not there; start the "
                "advisor node",
                throttle_duration_sec=_REMIND,
            )
            return
        shown, self._waiting = self._waiting, []
        request = Point.Request(deadline=_DEADLINE, things=[thing.looks for thing in self._things.values()])
        for one in shown:
            now = self._node.get_clock().now().nanoseconds
            request.frames.append(to_frame_msg(Frame(self._camera, encode_jpeg(one.rgb), stamp_ns=now)))
        self._open, self._sent_at = self._client.call_async(request), time.monotonic()
        self._open.add_done_callback(lambda call: self._take(shown, call))

    def _take(self, shown: list[Shown], call: Any) -> None:
        self._open = None
        response = call.result()
        if response is None or len(response.pointings) != len(shown) * len(self._things):
            return
        pointings = iter(response.pointings)
        for one in shown:
            pixels: dict[str, Array | None] = {}
            for name in self._things:
                pointing = next(pointings)
                if pointing.status == Advice.OK:
                    pixels[name] = np.array([pointing.x, pointing.y]) if pointing.visible else None
                else:
                    self._node.get_logger().warning(
                        f"the advisor does not point at {name}: {pointing.reason}", throttle_duration_sec=_REMIND
                    )
            self._pointed.told(one, pixels)

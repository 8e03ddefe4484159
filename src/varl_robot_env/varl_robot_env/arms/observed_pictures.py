"""The newest picture of each camera that a policy sees: an arm that is moved by pictures does not move without."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from rclpy.callback_groups import CallbackGroup
from rclpy.node import Node
from rclpy.qos import qos_profile_sensor_data
from sensor_msgs.msg import Image
from varl_common.errors import VarlError
from varl_common.ros.messages import to_ns
from varl_common.ros.qos import SENSOR_OUT

from varl_robot_env.arm import Picture, StaleState
from varl_robot_env.arms.watched_topics import Take, WatchedTopics
from varl_robot_env.config.robot import CameraConfig
from varl_robot_env.ros.hot_loop import HotLoop
from varl_robot_env.ros.image_messages import color_pixels
from varl_robot_env.safety.inputs import InputRule


class ObservedPictures:
    """Of the ``cameras``, which have a view; without any it does nothing.

    Subscribed to for good: by :meth:`hear` from a simulator, by :meth:`watch` from cameras that may fall silent.
    """

    def __init__(self, cameras: Sequence[CameraConfig]) -> None:
        self._cameras = cameras
        self._newest: dict[str, Picture] = {}
        self._broken: dict[str, str] = {}  # what is wrong with the newest of a camera

    @property
    def names(self) -> list[str]:
        return [camera.name for camera in self._cameras]

    def hear(self, node: Node, group: CallbackGroup) -> None:
        """From a simulator: it takes pictures when it is told to."""
        for camera in self._cameras:
            take = partial(self._take, camera.name)
            node.create_subscription(Image, camera.image_topic, take, SENSOR_OUT, callback_group=group)

    def watch(self, watched: WatchedTopics) -> None:
        """From cameras: their silence, or a picture that cannot be read, is a reason to stop."""
        for camera in self._cameras:
            assert camera.view
            rule = InputRule(
                f"picture of {camera.name}",
                (),
                f"look at the camera and what publishes {camera.image_topic}",
                camera.view.stale_after,
                partial(self._judge, camera.name),
            )
            hear = partial(self._on_watched, camera.name)
            watched.watch_all([rule], Image, camera.image_topic, [qos_profile_sensor_data], hear)

    def of(self, stamp_ns: int, loop: HotLoop, timeout: float) -> dict[str, Picture]:
        """The picture of each camera with that stamp, which is on its way.

        Raises:
            StaleState: one does not come in time, or cannot be read.
        """

        def all_there() -> bool:
            return all(
                (name in self._newest and self._newest[name].stamp_ns == stamp_ns) or name in self._broken
                for name in self.names
            )

        if loop.spin_until(all_there, timeout) and not self._broken:
            return dict(self._newest)
        missing = [one for one in self._cameras if one.name not in self._newest or one.name in self._broken]
        why = next(iter(self._broken.values()), "is it published?")
        topics = " and ".join(one.image_topic for one in missing or self._cameras)
        raise StaleState(f"no picture of this moment came on {topics}: {why}")

    def newest(self) -> dict[str, Picture]:
        """The newest of each camera, all of which were heard of."""
        return dict(self._newest)

    def _on_watched(self, name: str, takes: Sequence[Take], message: Image) -> None:
        self._take(name, message)
        takes[0]([])

    def _take(self, name: str, message: Image) -> None:
        try:
            self._newest[name] = Picture(color_pixels(message), to_ns(message.header.stamp))
            self._broken.pop(name, None)
        except VarlError as error:
            self._broken[name] = str(error)

    def _judge(self, name: str, values: Sequence[float]) -> str | None:
        return f"the picture of {name} cannot be read: {self._broken[name]}" if name in self._broken else None

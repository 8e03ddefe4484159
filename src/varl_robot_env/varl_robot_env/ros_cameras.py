"""Camera topics, subscribed to only while somebody captures: pictures cost whoever makes them."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np
from rclpy.callback_groups import CallbackGroup
from rclpy.node import Node
from rclpy.qos import QoSProfile, qos_profile_sensor_data
from sensor_msgs.msg import CameraInfo, Image
from varl_common.qos import SENSOR_OUT

from varl_robot_env.camera import Frame, encode_jpeg
from varl_robot_env.convert import from_image_msg, to_ns
from varl_robot_env.hot_loop import HotLoop
from varl_robot_env.robot import CameraConfig
from varl_robot_env.types import Pose

# A picture to come within this is waited for, s; without one the observation has no frame of that camera.
_FRAME_TIMEOUT = 1.0
# Subscriptions are kept this long after the last capture, s.
_LINGER = 5.0


class RosCameras:
    """The newest picture and intrinsics of each camera."""

    def __init__(self, node: Node, cameras: Sequence[CameraConfig], group: CallbackGroup, loop: HotLoop) -> None:
        self._node, self._cameras, self._group, self._loop = node, cameras, group, loop
        self._images: dict[str, Image] = {}
        self._infos: dict[str, CameraInfo] = {}
        self._subscriptions: list[Any] = []
        self._wanted_at = 0.0
        self._lost: set[str] = set()

    def connect(self) -> str | None:
        """Subscribe for good, to a simulator in lock-step: it renders only what is asked for, and must not wait for us.

        Returns:
            what is missing still, in a sentence, or None.
        """
        self._subscribe(SENSOR_OUT)
        self._wanted_at = float("inf")
        for camera in self._cameras:
            if not self._node.count_publishers(camera.image_topic):
                return f"waiting for the camera topic {camera.image_topic}; start the simulator node"
        return None

    def want(self, capture: bool) -> None:
        """Say at each step whether it captures."""
        if capture:
            self._wanted_at = max(self._wanted_at, time.monotonic())
            self._subscribe(qos_profile_sensor_data)
        elif self._subscriptions and time.monotonic() - self._wanted_at > _LINGER:
            self._unsubscribe()

    def frames(self, stamp_ns: int | None, poses: Mapping[str, Pose]) -> list[Frame]:
        """The frame of each camera with that stamp, which is on its way, or, without a stamp, the newest.

        ``poses`` holds the optical frames that are known, by camera.
        """
        frames = []
        for camera in self._cameras:
            name = camera.name
            if stamp_ns is None:
                ready: Callable[[], bool] = partial(self._images.__contains__, name)
            else:
                ready = partial(self._has, name, stamp_ns)
            # One that failed is not waited for again until it comes back.
            if not self._loop.spin_until(ready, 0.0 if name in self._lost else _FRAME_TIMEOUT):
                if name not in self._lost:
                    self._lost.add(name)
                    self._node.get_logger().warning(f"no picture came on {camera.image_topic}; going on without")
                continue
            self._lost.discard(name)
            image, info = self._images[name], self._infos.get(name)
            k = np.array(info.k) if info else np.zeros(9)
            pose = poses.get(name, np.zeros(7))
            frames.append(Frame(name, encode_jpeg(from_image_msg(image)), k, pose, image.header.frame_id))
        return frames

    def _has(self, name: str, stamp_ns: int) -> bool:
        return name in self._images and to_ns(self._images[name].header.stamp) == stamp_ns

    def _subscribe(self, qos: QoSProfile) -> None:
        if self._subscriptions:
            return
        for camera in self._cameras:
            for kind, topic, store in (
                (CameraInfo, camera.info_topic, self._infos),
                (Image, camera.image_topic, self._images),
            ):
                take = partial(self._take, store, camera.name)
                subscription = self._node.create_subscription(kind, topic, take, qos, callback_group=self._group)
                self._subscriptions.append(subscription)

    def _unsubscribe(self) -> None:
        for subscription in self._subscriptions:
            self._node.destroy_subscription(subscription)
        self._subscriptions = []
        self._images.clear()

    def _take(self, store: dict[str, Any], name: str, message: Any) -> None:
        store[name] = message

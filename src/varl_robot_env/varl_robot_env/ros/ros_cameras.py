"""Camera topics, subscribed to only while somebody captures: pictures cost whoever makes them."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rclpy.callback_groups import CallbackGroup
from rclpy.node import Node
from rclpy.qos import QoSProfile, qos_profile_sensor_data
from sensor_msgs.msg import CameraInfo, Image
from varl_common.errors import VarlError
from varl_common.frame import Frame
from varl_common.image_codec import encode_depth, encode_jpeg
from varl_common.poses import pose_to_matrix
from varl_common.ros.messages import to_ns
from varl_common.ros.qos import SENSOR_OUT

from varl_robot_env.config.robot import CameraConfig
from varl_robot_env.perception.camera_model import CameraModel
from varl_robot_env.ros.camera_info import camera_model, check_size
from varl_robot_env.ros.hot_loop import HotLoop
from varl_robot_env.ros.image_messages import color_pixels, depth_metres
from varl_robot_env.types import Pose

# A picture to come within this is waited for, s; without one the observation has no frame of that camera.
_FRAME_TIMEOUT = 1.0
# A depth this much older or younger than its picture shows another scene, ns: more than a period of 30 Hz.
_DEPTH_LAG_NS = 50_000_000
# Subscriptions are kept this long after the last capture, s.
_LINGER = 5.0


class RosCameras:
    """The newest picture, depth and intrinsics of each camera."""

    def __init__(self, node: Node, cameras: Sequence[CameraConfig], group: CallbackGroup, loop: HotLoop) -> None:
        self._node, self._cameras, self._group, self._loop = node, cameras, group, loop
        self._images: dict[str, Image] = {}
        self._depths: dict[str, Image] = {}
        self._infos: dict[str, CameraInfo] = {}
        self._subscriptions: list[Any] = []
        self._wanted_at = 0.0
        self._lost: set[str] = set()
        self._warned: dict[str, str] = {}  # the last warning of each camera

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
            image = self._newest(self._images, name, camera.image_topic, stamp_ns)
            if image is None:
                continue
            pose, lens = poses.get(name), self._lens(camera, image)
            matrix = None if pose is None else pose_to_matrix(pose)
            try:
                rgb, depth = color_pixels(image), self._depth(camera, image, stamp_ns)
                if lens is not None:  # a frame is that of a straight lens: it has an intrinsic matrix and nothing else
                    rgb = lens.straighten_picture(rgb)
                    depth = None if depth is None else lens.straighten_picture(depth, smooth=False)
                jpeg, png = encode_jpeg(rgb), b"" if depth is None else encode_depth(depth)
            except VarlError as error:
                self._warn(name, error)
                continue
            k = None if lens is None else lens.k
            frames.append(Frame(name, jpeg, png, k, matrix, image.header.frame_id))
        return frames

    def _lens(self, camera: CameraConfig, image: Image) -> CameraModel | None:
        """The camera's calibration; None, and a warning, where it has none that is of use."""
        info = self._infos.get(camera.name)
        if info is None:
            return None
        try:
            lens = camera_model(info, camera.image_topic)
            check_size(lens, image.width, image.height, camera.image_topic)
        except VarlError as error:
            self._warn(camera.name, error)
            return None
        return lens

    def _warn(self, name: str, error: VarlError) -> None:
        """Once a message: a camera that is wrong is so in every picture."""
        if self._warned.get(name) != str(error):
            self._warned[name] = str(error)
            self._node.get_logger().warning(f"{name}: {error}")

    def _depth(self, camera: CameraConfig, image: Image, stamp_ns: int | None) -> NDArray[np.uint16] | None:
        """The depth (height, width) mm that belongs to ``image``. A real arm does not wait for it."""
        depth = self._depths.get(camera.name)
        if camera.depth_topic and stamp_ns is not None:
            depth = self._newest(self._depths, camera.name, camera.depth_topic, stamp_ns)
        if depth is None or abs(to_ns(depth.header.stamp) - to_ns(image.header.stamp)) > _DEPTH_LAG_NS:
            return None
        millimetres = np.nan_to_num(1000 * depth_metres(depth))
        return np.clip(millimetres.round(), 0, np.iinfo(np.uint16).max).astype(np.uint16)

    def _newest(self, store: Mapping[str, Image], name: str, topic: str, stamp_ns: int | None) -> Image | None:
        """The newest picture of a camera, or the one with that stamp; None, and a warning, where none comes."""
        ready: Callable[[], bool] = partial(store.__contains__, name)
        if stamp_ns is not None:
            ready = partial(self._has, store, name, stamp_ns)
        # One that failed is not waited for again until it comes back.
        if self._loop.spin_until(ready, 0.0 if topic in self._lost else _FRAME_TIMEOUT):
            self._lost.discard(topic)
            return store[name]
        if topic not in self._lost:
            self._lost.add(topic)
            self._node.get_logger().warning(f"no picture came on {topic}; going on without")
        return None

    @staticmethod
    def _has(store: Mapping[str, Image], name: str, stamp_ns: int) -> bool:
        return name in store and to_ns(store[name].header.stamp) == stamp_ns

    def _subscribe(self, qos: QoSProfile) -> None:
        if self._subscriptions:
            return
        for camera in self._cameras:
            for kind, topic, store in (
                (CameraInfo, camera.info_topic, self._infos),
                (Image, camera.image_topic, self._images),
                (Image, camera.depth_topic, self._depths),
            ):
                if not topic:
                    continue
                take = partial(self._take, store, camera.name)
                subscription = self._node.create_subscription(kind, topic, take, qos, callback_group=self._group)
                self._subscriptions.append(subscription)

    def _unsubscribe(self) -> None:
        for subscription in self._subscriptions:
            self._node.destroy_subscription(subscription)
        self._subscriptions = []
        self._images.clear()
        self._depths.clear()

    def _take(self, store: dict[str, Any], name: str, message: Any) -> None:
        store[name] = message

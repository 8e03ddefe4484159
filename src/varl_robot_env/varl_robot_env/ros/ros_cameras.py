"""Camera topics, subscribed to only while somebody captures: pictures cost whoever makes them."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
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

# A picture that has not come within this is missed, s; the observation has no frame of that camera.
_FRAME_TIMEOUT = 1.0
# A depth this much older or younger than its picture shows another scene, ns: more than a period of 30 Hz.
_DEPTH_LAG_NS = 50_000_000
# How often it is looked whether a frame is there, s.
_SLICE = 0.01
# Subscriptions are kept this long after the last capture, s.
_LINGER = 5.0


@dataclass(frozen=True)
class _Encoded:
    frame: Frame
    received: float
    """When its picture came, s (monotonic): the clock of a camera's host may be another."""


class RosCameras:
    """Frames of cameras: pictures, depth and intrinsics as their drivers publish them.

    Where time waits, :meth:`at` gives those of a moment. On an arm that is driven by the clock pictures are encoded in
    a thread of their own, from when they come, and :meth:`newest` gives what is there: a step waits for neither.
    """

    def __init__(
        self,
        node: Node,
        cameras: Sequence[CameraConfig],
        group: CallbackGroup,
        loop: HotLoop,
        poses: Callable[[], Mapping[str, Pose]] = dict,
    ) -> None:
        """``poses``: where the optical frames that are known are now, by camera; asked for when a picture comes."""
        self._node, self._cameras, self._group, self._loop, self._poses = node, cameras, group, loop, poses
        self._images: dict[str, Image] = {}
        self._depths: dict[str, Image] = {}
        self._infos: dict[str, CameraInfo] = {}
        self._came: dict[str, tuple[float, Mapping[str, Pose]]] = {}  # when, and where the cameras were then
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="frames")
        self._offered: dict[str, Image] = {}
        self._jobs: dict[str, Future[_Encoded | None]] = {}
        self._encoded: dict[str, _Encoded] = {}
        self._subscriptions: list[Any] = []
        self._wanted_at = self._wanted_since = 0.0
        self._capturing = False
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
        now = time.monotonic()
        if capture:
            self._wanted_since = self._wanted_since if self._capturing else now
            self._wanted_at = max(self._wanted_at, now)
            self._subscribe(qos_profile_sensor_data)
        elif self._subscriptions and now - self._wanted_at > _LINGER:
            self._unsubscribe()
        self._capturing = capture

    def begin(self, capture: bool, wait: Callable[[float], None]) -> None:
        """At an episode's begin, where the arm rests: ``wait(until)`` (monotonic s) until there are frames."""
        self.want(capture)
        due = time.monotonic() + _FRAME_TIMEOUT
        expected = {camera.name for camera in self._cameras if camera.image_topic not in self._lost}
        while capture and expected - {frame.camera for frame in self.newest()} and time.monotonic() < due:
            wait(time.monotonic() + _SLICE)

    def at(self, stamp_ns: int, poses: Mapping[str, Pose]) -> list[Frame]:
        """The frame of each camera with that stamp, which is on its way; ``poses``: where they are, as far as known."""
        frames = []
        for camera in self._cameras:
            image = self._with_stamp(self._images, camera.name, camera.image_topic, stamp_ns)
            if image is None:
                continue
            if camera.depth_topic:
                self._with_stamp(self._depths, camera.name, camera.depth_topic, stamp_ns)
            made = self._frame(camera, image, self._depth_of(camera, image), poses)
            frames += [made] if made else []
        return frames

    def newest(self) -> list[Frame]:
        """The newest frame of each camera that is encoded and not too old to be shown as now; never waits."""
        now, frames = time.monotonic(), []
        for camera in self._cameras:
            self._offer(camera)
            made = self._encoded.get(camera.name)
            if made is not None and now - made.received <= camera.stale_after:
                frames.append(made.frame)
                self._lost.discard(camera.image_topic)
            elif now - max(self._wanted_since, made.received if made else 0.0) > _FRAME_TIMEOUT:
                self._lose(camera.image_topic)
        return frames

    def close(self) -> None:
        """End the thread."""
        self._thread.shutdown(wait=False, cancel_futures=True)

    def _offer(self, camera: CameraConfig) -> None:
        """Take in what was encoded, and have the newest picture encoded, with its depth unless that does not come."""
        name = camera.name
        job, image = self._jobs.get(name), self._images.get(name)
        if job is not None:
            if not job.done():
                return
            del self._jobs[name]
            if (made := job.result()) is not None:
                self._encoded[name] = made
        if image is None or image is self._offered.get(name):
            return
        depth, (received, poses) = self._depth_of(camera, image), self._came[name]
        if camera.depth_topic and depth is None and time.monotonic() - received < _DEPTH_LAG_NS * 1e-9:
            return  # it may be on its way
        self._offered[name] = image
        self._jobs[name] = self._thread.submit(self._encode, camera, image, depth, poses, received)

    def _encode(
        self, camera: CameraConfig, image: Image, depth: Image | None, poses: Mapping[str, Pose], received: float
    ) -> _Encoded | None:
        made = self._frame(camera, image, depth, poses)
        return None if made is None else _Encoded(made, received)

    def _frame(
        self, camera: CameraConfig, image: Image, depth: Image | None, poses: Mapping[str, Pose]
    ) -> Frame | None:
        """``image`` as a frame; None, and a warning, where it cannot be read."""
        name = camera.name
        pose, lens = poses.get(name), self._lens(camera, image)
        matrix = None if pose is None else pose_to_matrix(pose)
        try:
            rgb, away = color_pixels(image), None if depth is None else _millimetres(depth)
            if lens is not None:  # a frame is that of a straight lens: it has an intrinsic matrix and nothing else
                rgb = lens.straighten_picture(rgb)
                away = None if away is None else lens.straighten_picture(away, smooth=False)
            jpeg, png = encode_jpeg(rgb), b"" if away is None else encode_depth(away)
        except VarlError as error:
            self._warn(name, error)
            return None
        k = None if lens is None else lens.k
        return Frame(name, jpeg, png, k, matrix, image.header.frame_id, to_ns(image.header.stamp))

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

    def _depth_of(self, camera: CameraConfig, image: Image) -> Image | None:
        """The depth that belongs to ``image``."""
        depth = self._depths.get(camera.name)
        if depth is None or abs(to_ns(depth.header.stamp) - to_ns(image.header.stamp)) > _DEPTH_LAG_NS:
            return None
        return depth

    def _with_stamp(self, store: Mapping[str, Image], name: str, topic: str, stamp_ns: int) -> Image | None:
        """A camera's picture with that stamp; None, and a warning, where it does not come."""
        ready: Callable[[], bool] = partial(self._has, store, name, stamp_ns)
        # One that failed is not waited for again until it comes back.
        if self._loop.spin_until(ready, 0.0 if topic in self._lost else _FRAME_TIMEOUT):
            self._lost.discard(topic)
            return store[name]
        self._lose(topic)
        return None

    def _lose(self, topic: str) -> None:
        if topic not in self._lost:
            self._lost.add(topic)
            self._node.get_logger().warning(f"no picture came on {topic}; going on without")

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
                take = partial(self._take, store, camera)
                subscription = self._node.create_subscription(kind, topic, take, qos, callback_group=self._group)
                self._subscriptions.append(subscription)

    def _unsubscribe(self) -> None:
        for subscription in self._subscriptions:
            self._node.destroy_subscription(subscription)
        self._subscriptions = []
        for store in (self._images, self._depths, self._offered, self._encoded):
            store.clear()

    def _take(self, store: dict[str, Any], camera: CameraConfig, message: Any) -> None:
        store[camera.name] = message
        if store is self._images:
            self._came[camera.name] = time.monotonic(), self._poses()
        if self._capturing and store is not self._infos and self._wanted_at != float("inf"):
            self._offer(camera)


def _millimetres(depth: Image) -> NDArray[np.uint16]:
    """(height, width) mm."""
    millimetres = np.nan_to_num(1000 * depth_metres(depth))
    return np.clip(millimetres.round(), 0, np.iinfo(np.uint16).max).astype(np.uint16)

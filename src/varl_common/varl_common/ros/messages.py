"""Between the shared types and the messages of ROS and varl_interfaces."""

from __future__ import annotations

import array
from typing import Any

import numpy as np
from builtin_interfaces.msg import Duration, Time
from geometry_msgs.msg import Pose as PoseMsg
from numpy.typing import NDArray
from sensor_msgs.msg import CompressedImage
from std_msgs.msg import Header

from varl_common.env_description import EnvDescription
from varl_common.frame import Frame
from varl_common.poses import matrix_to_pose, pose_to_matrix
from varl_interfaces.msg import EnvDescription as EnvDescriptionMsg
from varl_interfaces.msg import Frame as FrameMsg

_SECOND = 1_000_000_000  # ns
_TEXTS = ("task", "robot", "backend", "instruction", "base_frame", "observation")
_LISTS = (
    "observation_names",
    "observation_units",
    "action_names",
    "action_units",
    "entities",
    "cameras",
    "picture_cameras",
)
_WHOLE = ("entity_indices", "observed", "picture_sides")
_NUMBERS = ("control_period", "max_episode_steps", "lock_step")


def to_time(nanoseconds: int) -> Time:
    return Time(sec=nanoseconds // _SECOND, nanosec=nanoseconds % _SECOND)


def to_duration(nanoseconds: int) -> Duration:
    return Duration(sec=nanoseconds // _SECOND, nanosec=nanoseconds % _SECOND)


def to_ns(time: Time | Duration) -> int:
    return int(time.sec) * _SECOND + int(time.nanosec)


def to_pose_msg(pose: NDArray[np.float64]) -> PoseMsg:
    """The message of a pose (7,): position m, quaternion x, y, z, w."""
    message = PoseMsg()
    fill_pose_msg(message, pose)
    return message


def fill_pose_msg(message: PoseMsg, pose: NDArray[np.float64]) -> None:
    """Write ``pose`` (7,) into an existing message."""
    place, turn = message.position, message.orientation
    place.x, place.y, place.z, turn.x, turn.y, turn.z, turn.w = pose.tolist()


def from_pose_msg(message: PoseMsg) -> NDArray[np.float64]:
    """(7,): position m, quaternion x, y, z, w."""
    place, turn = message.position, message.orientation
    return np.array([place.x, place.y, place.z, turn.x, turn.y, turn.z, turn.w])


def to_doubles(values: NDArray[np.float64]) -> array.array[float]:
    """A float64 vector in the form that a message field takes fastest."""
    return array.array("d", values.tobytes())


def to_description_msg(description: EnvDescription) -> EnvDescriptionMsg:
    message = EnvDescriptionMsg()
    for name in (*_TEXTS, *_LISTS, *_NUMBERS, *_WHOLE):
        setattr(message, name, getattr(description, name))
    for name in ("observation_low", "observation_high", "action_scale"):
        setattr(message, name, getattr(description, name).tolist())
    return message


def from_description_msg(message: EnvDescriptionMsg) -> EnvDescription:
    values: dict[str, Any] = {name: getattr(message, name) for name in (*_TEXTS, *_NUMBERS)}
    values |= {name: list(getattr(message, name)) for name in (*_LISTS, *_WHOLE)}
    values["observation_low"] = np.array(message.observation_low, dtype=np.float32)
    values["observation_high"] = np.array(message.observation_high, dtype=np.float32)
    values["action_scale"] = np.array(message.action_scale, dtype=np.float64)
    return EnvDescription(**values)


def to_frame_msg(frame: Frame) -> FrameMsg:
    """The message of a frame; all 0 is what it has for a matrix or pose not known."""
    header = Header(stamp=to_time(frame.stamp_ns), frame_id=frame.frame_id)
    image = CompressedImage(header=header, format="jpeg")
    image.data.frombytes(frame.jpeg)
    message = FrameMsg(camera=frame.camera, image=image)
    if frame.k is not None:
        message.k = frame.k.ravel()
    pose = np.zeros(7) if frame.camera_pose is None else matrix_to_pose(frame.camera_pose)
    message.camera_pose = to_pose_msg(pose)
    if frame.depth:
        message.depth = CompressedImage(header=header, format="16UC1; png")
        message.depth.data.frombytes(frame.depth)
    return message


def from_frame_msg(message: FrameMsg) -> Frame:
    """The frame of a message; a matrix or pose that is all 0, or not finite, becomes None: it is not known."""
    k, pose = np.array(message.k, np.float64).reshape(3, 3), from_pose_msg(message.camera_pose)
    calibrated = np.isfinite(k).all() and k[0, 0] and k[1, 1]
    placed = np.isfinite(pose).all() and np.linalg.norm(pose[3:]) > 1e-6  # a quaternion of no length is no rotation
    return Frame(
        camera=message.camera,
        jpeg=message.image.data.tobytes(),
        depth=message.depth.data.tobytes(),
        k=k if calibrated else None,
        camera_pose=pose_to_matrix(pose) if placed else None,
        frame_id=message.image.header.frame_id,
        stamp_ns=to_ns(message.image.header.stamp),
    )

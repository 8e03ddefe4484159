"""Between the cores' types and the messages of varl_interfaces and ROS."""

from __future__ import annotations

import array
from typing import Any

import numpy as np
from builtin_interfaces.msg import Duration, Time
from geometry_msgs.msg import Pose as PoseMsg
from sensor_msgs.msg import CompressedImage
from std_msgs.msg import Header

from varl_interfaces.msg import EnvDescription as EnvDescriptionMsg
from varl_interfaces.msg import Frame as FrameMsg
from varl_interfaces.msg import Observation as ObservationMsg
from varl_robot_env.env.description import EnvDescription
from varl_robot_env.env.env_core import Observation
from varl_robot_env.simulation.camera import Frame
from varl_robot_env.types import Array, Pose

_SECOND = 1_000_000_000
_TEXTS = ("task", "robot", "backend", "instruction", "base_frame")
_LISTS = ("observation_names", "observation_units", "action_names", "action_units", "entities", "cameras")
_NUMBERS = ("control_period", "max_episode_steps", "lock_step")


def to_time(nanoseconds: int) -> Time:
    return Time(sec=nanoseconds // _SECOND, nanosec=nanoseconds % _SECOND)


def to_duration(nanoseconds: int) -> Duration:
    return Duration(sec=nanoseconds // _SECOND, nanosec=nanoseconds % _SECOND)


def to_ns(time: Time | Duration) -> int:
    return int(time.sec) * _SECOND + int(time.nanosec)


def to_pose_msg(pose: Pose) -> PoseMsg:
    message = PoseMsg()
    fill_pose_msg(message, pose)
    return message


def fill_pose_msg(message: PoseMsg, pose: Pose) -> None:
    """Write ``pose`` into an existing message."""
    place, turn = message.position, message.orientation
    place.x, place.y, place.z, turn.x, turn.y, turn.z, turn.w = pose.tolist()


def from_pose_msg(message: PoseMsg) -> Pose:
    place, turn = message.position, message.orientation
    return np.array([place.x, place.y, place.z, turn.x, turn.y, turn.z, turn.w])


def to_doubles(values: Array) -> array.array[float]:
    """A float64 vector as a message field takes it fastest."""
    return array.array("d", values.tobytes())


def to_description_msg(description: EnvDescription) -> EnvDescriptionMsg:
    message = EnvDescriptionMsg()
    for name in (*_TEXTS, *_LISTS, *_NUMBERS, "entity_indices"):
        setattr(message, name, getattr(description, name))
    for name in ("observation_low", "observation_high", "action_scale"):
        setattr(message, name, getattr(description, name).tolist())
    return message


def from_description_msg(message: EnvDescriptionMsg) -> EnvDescription:
    values: dict[str, Any] = {name: getattr(message, name) for name in (*_TEXTS, *_NUMBERS)}
    values |= {name: list(getattr(message, name)) for name in (*_LISTS, "entity_indices")}
    values["observation_low"] = np.array(message.observation_low, dtype=np.float32)
    values["observation_high"] = np.array(message.observation_high, dtype=np.float32)
    values["action_scale"] = np.array(message.action_scale, dtype=np.float64)
    return EnvDescription(**values)


def to_frame_msg(frame: Frame, stamp_ns: int) -> FrameMsg:
    header = Header(stamp=to_time(stamp_ns), frame_id=frame.frame_id)
    image = CompressedImage(header=header, format="jpeg")
    image.data.frombytes(frame.jpeg)
    message = FrameMsg(camera=frame.camera, image=image, k=frame.k, camera_pose=to_pose_msg(frame.camera_pose))
    if frame.depth:
        message.depth = CompressedImage(header=header, format="16UC1; png")
        message.depth.data.frombytes(frame.depth)
    return message


def from_frame_msg(message: FrameMsg) -> Frame:
    return Frame(
        camera=message.camera,
        jpeg=message.image.data.tobytes(),
        k=np.array(message.k),
        camera_pose=from_pose_msg(message.camera_pose),
        frame_id=message.image.header.frame_id,
        depth=message.depth.data.tobytes(),
    )


def to_observation_msg(observation: Observation, base_frame: str) -> ObservationMsg:
    message = ObservationMsg(header=Header(stamp=to_time(observation.stamp_ns), frame_id=base_frame))
    message.state = array.array("f", observation.state.tobytes())
    message.frames = [to_frame_msg(frame, observation.stamp_ns) for frame in observation.frames]
    return message


def from_observation_msg(message: ObservationMsg) -> Observation:
    state = np.array(message.state, dtype=np.float32)
    return Observation(to_ns(message.header.stamp), state, [from_frame_msg(frame) for frame in message.frames])

"""Between observations and their message."""

from __future__ import annotations

import array

import numpy as np
from std_msgs.msg import Header
from varl_common.ros.messages import from_frame_msg, to_frame_msg, to_ns, to_time

from varl_interfaces.msg import Observation as ObservationMsg
from varl_robot_env.arm import Picture
from varl_robot_env.env.env_core import Observation
from varl_robot_env.ros.image_messages import color_pixels, to_image


def to_observation_msg(observation: Observation, base_frame: str) -> ObservationMsg:
    message = ObservationMsg(header=Header(stamp=to_time(observation.stamp_ns), frame_id=base_frame))
    message.state = array.array("f", observation.state.tobytes())
    message.pictures = [
        to_image(picture.pixels, "rgb8", Header(stamp=to_time(picture.stamp_ns), frame_id=name))
        for name, picture in observation.pictures.items()
    ]
    message.frames = [to_frame_msg(frame) for frame in observation.frames]
    return message


def from_observation_msg(message: ObservationMsg) -> Observation:
    state = np.array(message.state, dtype=np.float32)
    frames = [from_frame_msg(frame) for frame in message.frames]
    pictures = {
        picture.header.frame_id: Picture(color_pixels(picture), to_ns(picture.header.stamp))
        for picture in message.pictures
    }
    return Observation(to_ns(message.header.stamp), state, frames, pictures)

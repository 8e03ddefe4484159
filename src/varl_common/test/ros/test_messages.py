"""What goes through a message comes back as it was, and what is not known stays so."""

import dataclasses

import numpy as np
import pytest

pytest.importorskip("rclpy")
from varl_common.env_description import EnvDescription
from varl_common.frame import Frame
from varl_common.poses import pose_to_matrix
from varl_common.ros import messages

from varl_interfaces.msg import EnvDescription as EnvDescriptionMsg
from varl_interfaces.msg import Frame as FrameMsg

K = np.array([[500.0, 0.0, 320.0], [0.0, 501.0, 240.0], [0.0, 0.0, 1.0]])
POSE = pose_to_matrix(np.array([0.1, 0.2, 0.3, 0.5, 0.5, 0.5, 0.5]))


def test_a_description_has_the_fields_of_its_message() -> None:
    names = {field.name for field in dataclasses.fields(EnvDescription)}
    assert names == set(EnvDescriptionMsg.get_fields_and_field_types())


def test_a_frame_comes_back() -> None:
    frame = Frame("camera", b"jpeg", b"png", K, POSE, "optical", 1_500_000_000)
    message = messages.to_frame_msg(frame)
    assert messages.to_ns(message.image.header.stamp) == 1_500_000_000
    back = messages.from_frame_msg(message)
    assert (back.camera, back.jpeg, back.depth, back.frame_id) == ("camera", b"jpeg", b"png", "optical")
    assert back.k is not None
    assert back.camera_pose is not None
    np.testing.assert_array_equal(back.k, K)
    np.testing.assert_allclose(back.camera_pose, POSE, atol=1e-12)


@pytest.mark.parametrize("broken", [0.0, np.nan])
def test_a_matrix_or_pose_that_is_0_or_not_finite_is_not_known(broken: float) -> None:
    assert messages.from_frame_msg(messages.to_frame_msg(Frame("camera", b"jpeg"))).k is None
    message = FrameMsg(camera="camera", k=[broken] * 9)
    message.camera_pose.orientation.w = broken
    back = messages.from_frame_msg(message)
    assert back.k is None
    assert back.camera_pose is None

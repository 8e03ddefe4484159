"""Kinematics from the URDF alone."""

import numpy as np
import pytest
from varl_common.errors import VarlError
from varl_robot_env.config.paths import config_file
from varl_robot_env.config.robot import RobotConfig
from varl_robot_env.headless_mujoco import mujoco
from varl_robot_env.kinematics.kinematics import Kinematics

ROBOT = RobotConfig.from_yaml(config_file("robots", "varl_arm"))
DOWN = np.diag([-1.0, 1.0, -1.0])


@pytest.fixture
def kinematics() -> Kinematics:
    return Kinematics(ROBOT.urdf_text(), ROBOT.joints, ROBOT.base_frame, ROBOT.tool_frame)


def test_home_points_down_over_the_table(kinematics: Kinematics) -> None:
    position, rotation = kinematics.forward(np.array(ROBOT.home))
    np.testing.assert_allclose(position, [0.40, 0.0, 0.18], atol=1e-3)
    np.testing.assert_allclose(rotation, DOWN, atol=1e-3)


def test_agrees_with_the_full_model(kinematics: Kinematics) -> None:
    """Stripping meshes and masses changes no length."""
    model = mujoco.MjSpec.from_string(ROBOT.urdf_text()).compile()
    data = mujoco.MjData(model)
    rng = np.random.default_rng(0)
    for _ in range(20):
        joints = rng.uniform(kinematics.limits[:, 0], kinematics.limits[:, 1])
        data.qpos[:6] = joints
        mujoco.mj_kinematics(model, data)
        position, rotation = kinematics.forward(joints)
        np.testing.assert_allclose(position, data.body("tool0").xpos, atol=1e-9)
        np.testing.assert_allclose(rotation, data.body("tool0").xmat.reshape(3, 3), atol=1e-9)


def test_jacobian_is_the_derivative(kinematics: Kinematics) -> None:
    joints, step = np.array(ROBOT.home), 1e-6
    jacobian = kinematics.jacobian(joints)
    for joint in range(6):
        ahead = joints + step * np.eye(6)[joint]
        difference = (kinematics.forward(ahead)[0] - kinematics.forward(joints)[0]) / step
        np.testing.assert_allclose(jacobian[:3, joint], difference, atol=1e-5)


def test_inverse_reaches_all_of_the_workspace_tool_down(kinematics: Kinematics) -> None:
    home = np.array(ROBOT.home)
    axes = [np.linspace(*ends, 4) for ends in zip(ROBOT.safety.workspace_low, ROBOT.safety.workspace_high, strict=True)]
    for target in np.stack(np.meshgrid(*axes), -1).reshape(-1, 3):
        joints, miss = kinematics.inverse(target, DOWN, home, home)
        assert miss < 1e-4
        assert (joints > kinematics.limits[:, 0]).all()
        assert (joints < kinematics.limits[:, 1]).all()
        np.testing.assert_allclose(kinematics.forward(joints)[1], DOWN, atol=1e-3)


def test_out_of_reach_is_told_by_the_distance(kinematics: Kinematics) -> None:
    home = np.array(ROBOT.home)
    joints, miss = kinematics.inverse(np.array([2.0, 0.0, 0.2]), DOWN, home, home)
    assert miss > 1.0
    assert np.isfinite(joints).all()


@pytest.mark.parametrize(
    ("joints", "tool", "sentence"),
    [
        (["joint1", "elbow"], "tool0", "no joint 'elbow'"),
        (["joint1", "joint_2"], "tool0", "did you mean 'joint2'"),
        (["joint1"], "tool_0", "did you mean 'tool0'"),
    ],
)
def test_wrong_names_are_told(joints: list[str], tool: str, sentence: str) -> None:
    with pytest.raises(VarlError, match=sentence):
        Kinematics(ROBOT.urdf_text(), joints, "base_link", tool)


def test_malformed_urdf_is_one_sentence() -> None:
    with pytest.raises(VarlError, match="not valid XML"):
        Kinematics("<robot", ["joint1"], "base_link", "tool0")

"""Descriptions that are wrong are told so in a sentence; odd ones that are right are read as they are meant."""

import numpy as np
import pytest
from varl_common.errors import VarlError
from varl_robot_env.config.paths import config_file, config_folder
from varl_robot_env.config.robot import RobotConfig
from varl_robot_env.kinematics.kinematics import Kinematics
from varl_robot_env.simulation.simulation import Simulation
from varl_robot_env.simulation.world import SimulatorConfig

LINKS = '<link name="base"/><link name="arm"/><link name="tool"/>'
ARM = '<joint name="turn" type="revolute"><parent link="base"/><child link="arm"/><origin xyz="0 0 0.3"/>'
ARM += '<axis xyz="0 0 1"/><limit lower="-1" upper="1" velocity="1" effort="1"/></joint>'
TOOL = '<joint name="mount" type="fixed"><parent link="arm"/><child link="tool"/><origin xyz="0.5 0 0"/></joint>'


def kinematics(body: str) -> Kinematics:
    return Kinematics(f'<robot name="r">{body}</robot>', ["turn"], "base", "tool")


def test_an_arm_is_read() -> None:
    position, _ = kinematics(LINKS + ARM + TOOL).forward(np.array([np.pi / 6]))
    np.testing.assert_allclose(position, [0.5 * np.cos(np.pi / 6), 0.25, 0.3], atol=1e-12)


@pytest.mark.parametrize(
    ("body", "sentence"),
    [
        (LINKS + '<link name="arm"/>' + ARM + TOOL, "2 times the link 'arm'"),
        (LINKS + ARM + ARM + TOOL, "2 times the joint 'turn'"),
        (LINKS + ARM + TOOL + TOOL.replace("mount", "again"), "2 times the child link 'tool'"),
        (LINKS + "<link/>" + ARM + TOOL, "a link of the URDF has no name"),
        (LINKS + ARM + TOOL.replace('link="arm"', 'link="arn"'), "no such parent link 'arn'; did you mean 'arm'"),
        (LINKS + ARM.replace("revolute", "revolve") + TOOL, "the type 'revolve'; did you mean 'revolute'"),
        (LINKS + ARM.replace("revolute", "floating") + TOOL, "joint 'turn' between base and tool is floating"),
        (LINKS + ARM + TOOL.replace("fixed", "planar"), "joint 'mount' between base and tool is planar"),
        (LINKS.replace("base", "${prefix}base") + "<xacro:arm/>" + ARM, "xacro file that was not expanded"),
        (
            LINKS + ARM + TOOL + '<joint name="back" type="fixed"><parent link="tool"/><child link="base"/></joint>',
            "go in a circle",
        ),
        ("<link", "not valid XML"),
    ],
)
def test_a_wrong_description_is_one_sentence(body: str, sentence: str) -> None:
    with pytest.raises(VarlError, match=sentence):
        kinematics(body)


def test_an_unexpanded_xacro_is_told_so_by_its_elements() -> None:
    text = f'<robot name="r" xmlns:xacro="http://www.ros.org/wiki/xacro"><xacro:property name="a"/>{LINKS}</robot>'
    with pytest.raises(VarlError, match="xacro file that was not expanded"):
        Kinematics(text, ["turn"], "base", "tool")


def test_an_expanded_xacro_may_still_name_its_namespace() -> None:
    text = f'<robot name="r" xmlns:xacro="http://www.ros.org/wiki/xacro">{LINKS}{ARM}{TOOL}</robot>'
    Kinematics(text, ["turn"], "base", "tool")


@pytest.mark.parametrize("name", ["world", "arm"])
def test_a_link_called_world_is_a_link_like_others_wherever_it_stands(name: str) -> None:
    body = (LINKS + ARM + TOOL).replace('"arm"', f'"{name}"')
    position, _ = kinematics(body).forward(np.array([0.0]))
    np.testing.assert_allclose(position, [0.5, 0.0, 0.3], atol=1e-12)


def test_a_root_called_world_is_not_in_the_way() -> None:
    ground = '<link name="world"/><joint name="stand" type="fixed"><parent link="world"/><child link="base"/>'
    position, _ = kinematics(ground + '<origin xyz="1 2 3"/></joint>' + LINKS + ARM + TOOL).forward(np.zeros(1))
    np.testing.assert_allclose(position, [0.5, 0.0, 0.3], atol=1e-12)


def test_a_floating_joint_below_the_base_is_not_the_arms() -> None:
    ground = '<link name="odom"/><joint name="drift" type="floating"><parent link="odom"/><child link="base"/></joint>'
    position, _ = kinematics(ground + LINKS + ARM + TOOL).forward(np.zeros(1))
    np.testing.assert_allclose(position, [0.5, 0.0, 0.3], atol=1e-12)


@pytest.mark.parametrize(
    ("old", "new", "sentence"),
    [
        ('"fixed"', '"floating"', "which nothing holds in the simulator"),
        ("</robot>", '<link name="base_link"/></robot>', "2 times the link 'base_link'"),
    ],
)
def test_the_simulator_tells_the_robots_file_and_what_is_wrong(old: str, new: str, sentence: str) -> None:
    robot = RobotConfig.from_yaml(config_file("robots", "varl_arm"))
    wrong = robot.model_copy(update={"urdf": robot.urdf_text().replace(old, new, 1)})
    with pytest.raises(VarlError, match=rf"varl_arm.yaml: .*{sentence}"):
        Simulation(wrong, SimulatorConfig.from_yaml(config_folder() / "simulator.yaml"), {})

"""A box that an arm cannot work in is told with the place."""

from pathlib import Path

import pytest
from varl_robot_env.config.paths import config_file
from varl_robot_env.config.robot import RobotConfig
from varl_robot_env.kinematics.kinematics import Kinematics
from varl_robot_env.safety.survey import survey

URDF = Path(__file__).parents[2] / "urdf/standin_ur5e.urdf"


@pytest.mark.parametrize(
    ("low", "high", "words"),
    [
        ((0.30, -0.25, 0.035), (0.60, 0.25, 0.30), None),
        ((0.30, -0.25, 0.035), (1.20, 0.25, 0.30), "the tool does not reach"),
        ((-0.20, -0.25, 0.10), (0.60, 0.25, 0.30), "m; "),
    ],
)
def test_reach_and_singularities(
    low: tuple[float, float, float], high: tuple[float, float, float], words: str | None
) -> None:
    robot = RobotConfig.from_yaml(config_file("robots", "ur5e"))
    robot = robot.model_copy(
        update={
            "urdf": URDF.read_text(),
            "safety": robot.safety.model_copy(update={"workspace_low": low, "workspace_high": high}),
        }
    )
    found = survey(robot, Kinematics(robot.urdf_text(), robot.joints, robot.base_frame, robot.tool_frame))
    problem = found.problem()
    if words is None:
        assert problem is None
        assert found.least[0] > 0.13, "as the robot's file says"
    else:
        assert problem is not None
        assert words in problem

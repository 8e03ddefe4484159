"""Whatever is asked of the safety filter, on every robot: what it commands stays inside every bound."""

import numpy as np
import pytest

from .asked import ALLOWED, whatever_is_asked
from .robots import ROBOTS, kinematics, robot

# Where the tool is at home, m: what each robot's file says beside its joints.
HOME = {
    "fr3": (0.45, 0.0, 0.22),
    "gen3": (0.45, -0.02, 0.18),
    "so101": (0.22, 0.0, 0.05),
    "ur5e": (0.45, 0.0, 0.18),
    "varl_arm": (0.40, 0.0, 0.18),
    "xarm6": (0.38, 0.0, 0.22),
}


@pytest.mark.parametrize("name", ROBOTS)
def test_the_description_puts_the_tool_where_the_robots_file_says(name: str) -> None:
    config = robot(name)
    np.testing.assert_allclose(kinematics(config).forward(np.array(config.home))[0], HOME[name], atol=0.006)


@pytest.mark.parametrize("number", [2_000, pytest.param(100_000, marks=[pytest.mark.slow, pytest.mark.timeout(900)])])
@pytest.mark.parametrize("turns", [(), ("yaw",), ("rx", "ry", "rz")], ids=["upright", "yaw", "any"])
@pytest.mark.parametrize("name", ROBOTS)
def test_no_bound_is_left_whatever_is_asked(name: str, turns: tuple[str, ...], number: int) -> None:
    worst = whatever_is_asked(name, number, turns)
    print(name, worst)
    assert worst["accepted"] > number / 2
    assert worst["refused"] > number / 20
    assert not {what: worst[what] for what, most in ALLOWED.items() if worst[what] > most}

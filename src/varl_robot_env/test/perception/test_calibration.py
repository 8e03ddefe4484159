"""Joint states as drivers send them: in any order, in parts, broken."""

import numpy as np
import pytest
from varl_robot_env.perception.calibration import joints_in_order

JOINTS = ["shoulder", "elbow"]


def test_joints_come_in_the_robots_order() -> None:
    found = joints_in_order(["finger", "elbow", "shoulder"], [0.0, 2.0, 1.0], JOINTS)
    np.testing.assert_array_equal(found, [1.0, 2.0])


@pytest.mark.parametrize(
    ("names", "positions"),
    [
        (["elbow"], [1.0]),
        (["shoulder", "elbow"], [1.0]),
        (["shoulder", "elbow"], [1.0, np.nan]),
        (["shoulder", "elbow"], [np.inf, 1.0]),
        ([], []),
    ],
)
def test_a_joint_state_that_lacks_one_tells_nothing(names: list[str], positions: list[float]) -> None:
    assert joints_in_order(names, positions, JOINTS) is None

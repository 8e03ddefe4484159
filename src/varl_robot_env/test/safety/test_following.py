"""An arm that does not go where it is told to is noticed in time; one that lags, sags or is moved by hand is not."""

from collections.abc import Callable

import numpy as np
import pytest
from varl_robot_env.safety.following import Following

CYCLE = 0.01  # s
AFTER = 3.0  # s: the fault


def noticed(commanded: Callable[[float], float], lag: float, stuck: bool, look: int = 1) -> tuple[float, float]:
    """When, s after the fault, the second of two joints is said not to follow, inf: never; and for how long it had not,
    s."""
    following, measured = Following(), np.zeros(2)
    for cycle in range(round((AFTER + 4.0) / CYCLE)):
        now = cycle * CYCLE
        asked = np.array([0.0, commanded(now)])
        if not (stuck and now >= AFTER):
            measured = measured + (asked - measured) * (1 - np.exp(-CYCLE / lag))
        joint = following.joint_that_does_not(now, asked, measured) if cycle % look == 0 else None
        if joint is not None:
            assert joint == 1
            return now - AFTER, following.void_for
    return np.inf, 0.0


def swing(time: float) -> float:
    return float(0.3 * np.sin(2.0 * time))


@pytest.mark.parametrize("lag", [0.02, 0.1])
def test_an_arm_that_stops_in_full_motion_is_noticed_in_time(lag: float) -> None:
    after, void = noticed(swing, lag, stuck=True)
    assert after <= 0.3
    assert void >= after, "all of what was not carried out"


def test_whoever_looks_seldom_notices_it_too() -> None:
    assert noticed(swing, 0.05, stuck=True, look=15)[0] <= 0.5


@pytest.mark.parametrize("speed", [0.05, 0.1])
def test_small_commands_that_add_up_are_noticed(speed: float) -> None:
    def commanded(time: float) -> float:
        return min(speed * time, speed * AFTER + 0.08)  # there the leash holds it

    after, void = noticed(commanded, 0.05, stuck=True)
    assert after <= 0.05 / speed + 0.3
    assert void >= after


@pytest.mark.parametrize("lag", [0.02, 0.1])
def test_an_arm_that_lags_follows(lag: float) -> None:
    assert noticed(swing, lag, stuck=False)[0] == np.inf


def test_an_arm_that_stands_still_as_told_follows() -> None:
    following = Following()
    for cycle in range(200):
        assert following.joint_that_does_not(cycle * CYCLE, np.array([0.5]), np.array([0.53])) is None


def test_an_arm_that_somebody_moved_while_nobody_looked_is_not_accused() -> None:
    following = Following()
    for cycle in range(100):
        assert following.joint_that_does_not(cycle * CYCLE, np.array([0.5]), np.array([0.5])) is None
    assert following.joint_that_does_not(5.0, np.array([0.5]), np.array([0.9])) is None
    for cycle in range(100):  # its next motion begins where it is
        assert following.joint_that_does_not(5.01 + cycle * CYCLE, np.array([0.9]), np.array([0.9])) is None

"""Several plans as one: what is off in one of them is outvoted, number by number."""

from dataclasses import replace

import numpy as np
from varl_common.plan import Phase, Plan, as_one
from varl_common.trajectories import Trajectories

RIGHT = Plan(
    (
        Phase("block", (0.0, 0.0, 0.1), -1.0, 0.02),
        Phase("block", (0.0, 0.0, 0.0), -1.0, 0.01, opposite="tray", standoff=0.05),
        Phase("block", (0.0, 0.0, 0.0), 1.0, 0.01),
        Phase("tray", (0.0, 0.0, 0.1), 1.0, align="tray", turn=(0.0, 0.0, 0.5), brings="block", to="tray", within=0.04),
    ),
    "as it is",
)


def off(number: int, **change: object) -> Plan:
    """One number of one phase is wrong."""
    phases = list(RIGHT.phases)
    phases[number] = replace(phases[number], **change)  # type: ignore[arg-type]
    return replace(RIGHT, phases=tuple(phases))


def test_plans_that_are_each_wrong_somewhere_are_right_as_one() -> None:
    wrong = [
        off(0, offset=(0.04, 0.0, 0.1)),
        off(2, offset=(0.0, -0.04, 0.0), tolerance=0.05),
        off(3, turn=(0.0, 0.0, -0.3), within=0.2),
        off(1, standoff=-0.05),
    ]
    for left_out in range(2):
        (one,) = as_one(wrong[left_out:])
        assert one.phases == RIGHT.phases


def test_a_plan_of_other_phases_is_outvoted_by_three_that_are_alike() -> None:
    other = Plan(RIGHT.phases[1:])
    assert as_one([other, RIGHT, RIGHT, RIGHT]) == [RIGHT]
    kinds = ({"gripper": 1.0}, {"target": "tray"}, {"opposite": "tray"}, {"align": "block"}, {"brings": "block"})
    for change in kinds:
        assert as_one([off(0, **change), RIGHT, RIGHT, RIGHT]) == [RIGHT]


def test_too_few_alike_stay_what_they_are() -> None:
    other = Plan(RIGHT.phases[1:])
    for plans in ([RIGHT], [RIGHT, RIGHT], [RIGHT, RIGHT, other], [RIGHT] * 3 + [other] * 3):
        assert as_one(plans) == plans


def test_what_acts_in_its_own_way_is_left_alone() -> None:
    films = [Trajectories(starts=np.zeros((1, 3)), waypoints=np.zeros((1, 2, 4))) for _ in range(3)]
    assert as_one(films) == films

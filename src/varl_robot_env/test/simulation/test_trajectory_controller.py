"""The simulated controller goes where ros2_control's own went with the same commands.

``data/joint_trajectory_controller.npz`` was recorded by us with ros2_controllers (jazzy) on mock hardware at 500 Hz:
varl_arm's bang-bang, reversals, stops in mid-course and random courses at 20 Hz, each as smooth motions and as single
points without velocities. When a command reached the controller is not in the recording, so of the cycles after it was
sent the one that fits best is taken; nothing else is fitted, on any of them.
"""

import copy
from pathlib import Path

import numpy as np
import pytest
from varl_common.errors import VarlError
from varl_robot_env.simulation.trajectory_controller import TrajectoryController

RECORDED = np.load(Path(__file__).parent / "data" / "joint_trajectory_controller.npz")
NAMES = sorted({name.rsplit("_", 1)[0] for name in RECORDED.files})
CYCLE = 0.002  # s
LATEST = 10  # cycles that a command may take to arrive
BEAT, HELD_UP = 0.05, 0.01  # s: a command that is so far off the beat left at a time that is not known
BESIDE = 0.06  # s: left out beside such a command, and beside cycles that the real controller missed
AGREES = 2e-3  # rad


class Replay:
    """A controller and mock hardware, which is where it is told to be a cycle later."""

    def __init__(self, joints: np.ndarray) -> None:
        self.controller, self.joints, self.speeds = TrajectoryController(joints), joints.copy(), np.zeros(len(joints))

    def command(self, points: tuple[np.ndarray, np.ndarray, np.ndarray | None]) -> None:
        times, positions, velocities = points
        self.controller.command(times.tolist(), positions, velocities, self.joints, self.speeds)

    def step(self, seconds: float) -> np.ndarray:
        joints = self.controller.step(seconds)
        self.speeds, self.joints = (joints - self.joints) / seconds, joints
        return joints


def commands(name: str) -> list[tuple[np.ndarray, np.ndarray, np.ndarray | None]]:
    times, positions = RECORDED[f"{name}_times"], RECORDED[f"{name}_positions"]
    velocities = RECORDED[f"{name}_velocities"] if f"{name}_velocities" in RECORDED.files else None
    found = []
    for row, line in enumerate(times):
        there = np.isfinite(line)
        found.append((line[there], positions[row][there], None if velocities is None else velocities[row][there]))
    return found


def errors(name: str) -> np.ndarray:
    """(m,) rad: how far the replay is from the recording, where it is known what happened."""
    time, joints, sent = (RECORDED[f"{name}_{what}"] for what in ("time", "joints", "sent"))
    joints = joints.astype(np.float64)
    first = int(np.searchsorted(time, sent[0]))
    replay, error = Replay(joints[first - 1]), np.zeros(len(time))
    starts = [int(np.searchsorted(time, at)) for at in sent]
    for points, begin, end in zip(commands(name), starts, [*starts[1:], len(time)], strict=True):
        best = None
        # Of two that are sent at once the controller sees but the last.
        for arrival in range(begin, min(begin + LATEST, end + 1)):
            trial, off = copy.deepcopy(replay), np.zeros(end - begin)
            for row in range(begin, end):
                if row == arrival:
                    trial.command(points)
                    there = trial.step(CYCLE)
                else:
                    there = trial.step(max(time[row] - time[row - 1], 1e-9))
                off[row - begin] = np.abs(there - joints[row]).max()
            if best is None or (off**2).sum() < (best[1] ** 2).sum():
                best = (trial, off)
        if best is not None:
            replay, error[begin:end] = best
    beats = (sent - sent[0]) / BEAT
    unknown = np.append(time[1:][np.diff(time) > 1.5 * CYCLE], sent[np.abs(beats - np.rint(beats)) * BEAT > HELD_UP])
    return error[[bool((np.abs(unknown - at) >= BESIDE).all()) for at in time]]


@pytest.mark.parametrize("name", NAMES)
def test_it_goes_where_the_real_one_went(name: str) -> None:
    off = errors(name)
    print(f"{name}: {len(off)} cycles, median {1e3 * np.median(off):.2f}, at the most {1e3 * off.max():.2f} mrad")
    assert len(off) > 300
    assert off.max() <= AGREES


def test_what_the_real_one_rejects_is_rejected() -> None:
    controller = TrajectoryController(np.zeros(1))
    rest = (np.zeros(1), np.zeros(1))
    for times, positions, velocities, words in (
        ([0.1, 0.1], [[0.1], [0.2]], None, "increase"),
        ([0.1], [[0.1]], [[0.5]], "end at rest"),
        ([0.1], [[np.nan]], None, "finite"),
        ([], np.zeros((0, 1)), None, "increase"),
        ([0.1], [[0.1, 0.2]], None, "points of 1 joints"),
    ):
        with pytest.raises(VarlError, match=words):
            controller.command(times, np.array(positions), velocities, *rest)
    with pytest.raises(VarlError, match="clocks"):
        controller.command([0.1], np.array([[0.1]]), None, *rest, begun=0.2)


@pytest.mark.parametrize("late", [0.0, 0.01, 0.03])
def test_a_stamped_trajectory_is_where_it_would_be_had_it_not_been_late(late: float) -> None:
    times, positions = [0.0, 0.05, 0.1], np.array([[0.0], [0.02], [0.03]])
    velocities = np.array([[0.2], [0.5], [0.0]])
    on_time, controller = TrajectoryController(np.zeros(1)), TrajectoryController(np.zeros(1))
    on_time.command(times, positions, velocities, np.zeros(1), np.zeros(1))
    expected = on_time.step(0.04)
    controller.command(times, positions, velocities, np.zeros(1), np.zeros(1), begun=late)
    np.testing.assert_allclose(controller.step(0.04 - late), expected, atol=1e-12)

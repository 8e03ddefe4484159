"""What the benchmark of real controllers makes of a recording, and that it says what it needs."""

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from benchmarks.real.trace import Trace

ROOT = Path(__file__).parents[1]
BOUND, CYCLE = 5.0, 0.002  # rad/s^2, s


def recorded(speeds: Any) -> Trace:
    """One joint that had these speeds, a cycle each."""
    times: Any = 100.0 + CYCLE * np.arange(len(speeds))
    return Trace(times, np.cumsum(speeds)[:, None] * CYCLE, np.zeros(0), [])


def test_a_motion_at_the_bound_has_a_share_of_one() -> None:
    ramp = BOUND * CYCLE * np.minimum(np.arange(200), 100)
    assert recorded(ramp).acceleration_shares(np.array([BOUND]), 0.05).max() == pytest.approx(1.0, rel=1e-3)


def test_a_jump_of_the_speed_shows_over_the_window() -> None:
    jump = np.where(np.arange(200) < 100, 0.0, 1.0)
    assert recorded(jump).acceleration_shares(np.array([BOUND]), 0.05).max() == pytest.approx(4.0, rel=1e-2)


def test_times_at_which_nothing_moves_do_not_count() -> None:
    still = np.concatenate([np.zeros(5000), np.ones(100)])
    assert len(recorded(still).acceleration_shares(np.array([BOUND]), 0.05)) < 200


def test_rest_is_when_the_last_joint_moved_last() -> None:
    trace = recorded(np.where(np.arange(400) < 150, 1.0, 0.0))
    assert trace.rest_after(100.2) == pytest.approx(150 * CYCLE - 0.2, abs=1.5 * CYCLE)
    assert trace.rest_after(100.5) == 0.0


def test_without_a_ros_to_start_from_it_refuses_in_a_sentence() -> None:
    environment = {key: value for key, value in os.environ.items() if key != "VARL_ROS_UNDERLAY"}
    command = [sys.executable, "-m", "benchmarks.real_controller"]
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert done.stderr.strip().splitlines()[-1].startswith("error: VARL_ROS_UNDERLAY names no setup.bash; set it to")

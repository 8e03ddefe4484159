"""The launch files for a person at the arm, through launch_testing with the real nodes."""

import tempfile
import unittest
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("launch_ros", reason="ROS 2's launch is not among the wheels: source a full ROS 2 install for this")
import launch_testing
import launch_testing.asserts
import launch_testing.markers
from launch import LaunchDescription
from launch.actions import IncludeLaunchDescription, SetEnvironmentVariable
from launch.launch_description_sources import PythonLaunchDescriptionSource
from launch_testing.actions import ReadyToTest
from varl_common.host.domain import free_domain

ROOT = Path(__file__).parents[2]
FOLDER = Path(tempfile.mkdtemp(prefix="varl-launch-"))
GIVEN = {
    "teleop": {"run_dir": str(FOLDER / "shown"), "episodes": "1"},
    "calibrate": {"marker_size": "0.1", "calibration_file": str(FOLDER / "camera.yaml")},
}
SAYS = {
    "teleop": ("hold the joystick's deadman button", "stdout"),
    "calibrate": ("bring the arm to a pose", "stderr"),  # where ROS logs
}


@pytest.mark.launch_test
@launch_testing.markers.keep_alive
@launch_testing.parametrize("program", list(GIVEN))
def generate_test_description(program: str) -> LaunchDescription:
    domain = free_domain()
    source = PythonLaunchDescriptionSource(str(ROOT / f"launch/{program}.launch.py"))
    return LaunchDescription(
        [
            SetEnvironmentVariable("ROS_DOMAIN_ID", str(domain.__enter__())),
            IncludeLaunchDescription(source, launch_arguments=GIVEN[program].items()),
            ReadyToTest(),
        ]
    )


class TestPrograms(unittest.TestCase):
    def test_it_tells_the_person_what_to_do(self, proc_output: Any, program: str) -> None:
        words, stream = SAYS[program]
        proc_output.assertWaitFor(words, timeout=60, stream=stream)


@launch_testing.post_shutdown_test()
class TestEnd(unittest.TestCase):
    def test_every_node_ends_when_told(self, proc_info: Any) -> None:
        launch_testing.asserts.assertExitCodes(proc_info, allowable_exit_codes=[0, 130])

"""The launch file of a simulated training, through launch_testing with the real nodes."""

import json
import tempfile
import unittest
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("launch_ros", reason="ROS 2's launch is not among the wheels: source a full ROS 2 install for this")
import launch_testing.asserts
import launch_testing.markers
from launch import LaunchDescription
from launch.actions import IncludeLaunchDescription, SetEnvironmentVariable
from launch.launch_description_sources import PythonLaunchDescriptionSource
from launch_testing.actions import ReadyToTest
from varl_common.host.domain import free_domain

ROOT = Path(__file__).parents[2]
RUN = Path(tempfile.mkdtemp(prefix="varl-launch-")) / "run"


@pytest.mark.launch_test
@launch_testing.markers.keep_alive
def generate_test_description() -> LaunchDescription:
    domain = free_domain()
    arguments = {"steps": "150", "run_dir": str(RUN), "params_file": str(ROOT / "tests/quick.yaml"), "seed": "5"}
    return LaunchDescription(
        [
            SetEnvironmentVariable("ROS_DOMAIN_ID", str(domain.__enter__())),
            IncludeLaunchDescription(
                PythonLaunchDescriptionSource(str(ROOT / "launch/train_sim.launch.py")),
                launch_arguments=arguments.items(),
            ),
            ReadyToTest(),
        ]
    )


class TestTraining(unittest.TestCase):
    def test_the_learner_finishes(self, proc_info: Any) -> None:
        proc_info.assertWaitForShutdown("learner", timeout=100)
        summary = json.loads((RUN / "summary.json").read_text())
        assert (summary["seed"], summary["steps"]) == (5, 150)


@launch_testing.post_shutdown_test()
class TestEnd(unittest.TestCase):
    def test_every_node_ended_well(self, proc_info: Any) -> None:
        launch_testing.asserts.assertExitCodes(proc_info)

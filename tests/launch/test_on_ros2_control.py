"""`ros2 launch varl_bringup train_real` on the controllers of ros2_control itself, whose hardware is a mock."""

import os
import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from varl_agent.replay.layout import Tag
from varl_agent.replay.store import ReplayStore

rclpy = pytest.importorskip("rclpy")

from std_srvs.srv import Trigger  # noqa: E402
from varl_common.ros.qos import LATCHED  # noqa: E402
from varl_robot_env.config.paths import config_file  # noqa: E402
from varl_robot_env.config.robot import RobotConfig  # noqa: E402

from benchmarks.real.driver import UNDERLAY, Driver, refuse_without_underlay, start  # noqa: E402
from varl_interfaces.msg import EnvStatus  # noqa: E402

from .conftest import Launch  # noqa: E402

ROBOT = RobotConfig.from_yaml(config_file("robots", "varl_arm"))
QUICK = Path(__file__).parents[1] / "quick.yaml"
NODES = {"env", "advisor", "learner"}

pytestmark = pytest.mark.timeout(400)


class Person:
    """Sees what the env says, and calls what a person would."""

    def __init__(self) -> None:
        self.node = rclpy.create_node("person")
        self.status = EnvStatus()
        self.steps = 0
        self.node.create_subscription(EnvStatus, "env/status", self._on_status, LATCHED)
        self._rearm = self.node.create_client(Trigger, "env/rearm")

    def _on_status(self, status: EnvStatus) -> None:
        self.status = status
        self.steps += len(status.action) > 0 and not status.stopped

    def wait(self, until: Callable[[], bool], slices: int = 1000) -> None:
        """Until it is so; so many tenths of a second are patience enough for any machine."""
        for _ in range(slices):
            if until():
                return
            rclpy.spin_once(self.node, timeout_sec=0.1)
        pytest.fail(f"{self.status}")

    def wait_for_steps(self, number: int) -> None:
        begin = self.steps
        self.wait(lambda: self.steps >= begin + number, 30_000)

    def rearm(self) -> None:
        assert self._rearm.wait_for_service(30.0)

        def granted() -> bool:
            future = self._rearm.call_async(Trigger.Request())
            rclpy.spin_until_future_complete(self.node, future, timeout_sec=10.0)
            return bool(future.done() and future.result().success)

        self.wait(granted, 100)


@pytest.fixture
def driver(ros: int, tmp_path: Path) -> Iterator[Driver]:
    if not UNDERLAY.is_file():
        pytest.skip("VARL_ROS_UNDERLAY names no setup.bash of a ROS 2 with ros2_control")
    try:
        refuse_without_underlay()
    except SystemExit as error:
        pytest.skip(str(error))
    folder = tmp_path / "driver"
    folder.mkdir()
    driver = Driver(ROBOT, folder)
    yield driver
    driver.end()


def switch(driver: Driver, request: str, folder: Path) -> None:
    """`ros2 control switch_controllers`, as the service that it calls."""
    kind = "controller_manager_msgs/srv/SwitchController"
    log = folder / "switch.log"
    words = ["ros2", "service", "call", "/controller_manager/switch_controller", kind, f"{{{request}, strictness: 2}}"]
    assert start(words, log).wait() == 0
    assert "ok=True" in log.read_text(), log.read_text()


def test_a_controller_that_is_switched_off_in_mid_episode_stops_the_arm_by_name(
    launch: Callable[..., Launch], driver: Driver, tmp_path: Path
) -> None:
    person = Person()
    words = ("robot:=varl_arm", "run_dir:=run", f"params_file:={QUICK}", "steps:=1000000")
    run = launch("train_real", *words)
    run.wait_for("none of", 200)  # varl check comes first
    assert "is red" in run.output
    person.wait_for_steps(40)
    switch(driver, f"deactivate_controllers: [{ROBOT.arm_controller}]", tmp_path)
    person.wait(lambda: person.status.stopped)
    assert ROBOT.arm_controller in person.status.reason

    (tmp_path / "switch.log").unlink()
    switch(driver, f"activate_controllers: [{ROBOT.arm_controller}]", tmp_path)
    person.rearm()
    person.wait_for_steps(20)
    os.killpg(run.process.pid, signal.SIGINT)
    assert run.wait(60) == 0, run.output[-3000:]
    assert run.ended_cleanly >= NODES, run.output[-3000:]
    assert not run.left()
    store = ReplayStore(tmp_path / "run/replay", writable=False)
    rows = store.take(np.arange(store.oldest, store.count))
    assert (rows["tag"] == Tag.STAND_IN).sum() >= 3, "what was not carried out is not learned from"


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_launch_that_is_ended_leaves_nobody_behind(
    launch: Callable[..., Launch], driver: Driver, tmp_path: Path, number: int
) -> None:
    person = Person()
    run = launch("train_real", "robot:=varl_arm", "run_dir:=run", f"params_file:={QUICK}", "steps:=1000000")
    person.wait_for_steps(20)
    if number == signal.SIGINT:  # as a terminal sends it
        os.killpg(run.process.pid, number)
        assert run.wait(60) == 0, run.output[-3000:]
        assert run.ended_cleanly >= NODES, run.output[-3000:]
    else:
        os.kill(run.process.pid, number)
        run.wait(60)
    person.wait(lambda: not run.left(), 300)

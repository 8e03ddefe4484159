"""Each guard of each robot's file, over DDS: never published, silent, broken, or of a QoS that cannot be heard."""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import numpy as np
import pytest

rclpy = pytest.importorskip("rclpy")
from geometry_msgs.msg import Pose, Quaternion, WrenchStamped  # noqa: E402
from rclpy.callback_groups import MutuallyExclusiveCallbackGroup  # noqa: E402
from rclpy.qos import QoSProfile, ReliabilityPolicy  # noqa: E402
from sensor_msgs.msg import CameraInfo, Image, JointState  # noqa: E402
from std_msgs.msg import Bool, Float64  # noqa: E402
from varl_common.ros.qos import LATCHED, STATE  # noqa: E402
from varl_robot_env.arms.driver_inputs import DriverInputs  # noqa: E402
from varl_robot_env.arms.observed_pictures import ObservedPictures  # noqa: E402
from varl_robot_env.arms.watched_topics import WatchedTopics  # noqa: E402
from varl_robot_env.config.driver import DeadmanConfig, EstopConfig  # noqa: E402
from varl_robot_env.config.paths import config_folder  # noqa: E402
from varl_robot_env.config.robot import RobotConfig  # noqa: E402
from varl_robot_env.ros.hot_loop import HotLoop  # noqa: E402

from varl_interfaces.msg import Entities  # noqa: E402

ROBOTS = sorted(path.stem for path in (config_folder() / "robots").glob("*.yaml"))
SENSORS = (JointState, Entities, CameraInfo, WrenchStamped, Image)
PATIENCE = 20.0  # s: for what must come, on a machine that is busy


@dataclass
class Guard:
    """One input of a robot's file, and how its messages can be wrong."""

    words: str  # in the reason that names it
    topic: str
    kind: Any
    good: Callable[[], Any]
    not_a_number: Callable[[], Any] | None = None
    short: Callable[[], Any] | None = None
    quality: QoSProfile = field(default_factory=lambda: STATE)
    unheard: QoSProfile | None = None  # best effort, where not said
    stale_after: float | None = None


def every_guard(robot: RobotConfig) -> tuple[RobotConfig, list[Guard]]:
    """The robot with every guard that its file can have, and those guards in the order that they are asked for.

    A driver's own messages are not installed here: their faults are told by std_msgs in their place.
    """
    driver, safety = robot.driver, robot.safety
    faults = tuple(
        fault.model_copy(update={"type": "std_msgs/msg/Float64", "field": "data", "topic": f"fault{number}"})
        for number, fault in enumerate(driver.faults)
    )
    driver = driver.model_copy(
        update={
            "faults": faults,
            "deadman": DeadmanConfig(topic="deadman", stale_after=0.5),
            "estops": (EstopConfig(topic="panel/estop", stale_after=0.5), EstopConfig(topic="button/estop")),
        }
    )
    safety = safety.model_copy(update={"joint_effort": [100.0] * len(robot.joints), "camera_stale_after": 0.5})
    robot = robot.model_copy(update={"driver": driver, "safety": safety})
    joints = list(robot.joints)

    def states(**changed: list[float]) -> JointState:
        values = {"position": robot.home, "velocity": [0.0] * len(joints), "effort": [1.0] * len(joints)}
        return JointState(name=joints, **(values | changed))

    def entities(x: float = 0.4, poses: int = 1) -> Entities:
        pose = Pose(orientation=Quaternion(w=1.0))
        pose.position.x = x
        return Entities(names=["block"], poses=[pose] * poses)

    zeros = [0.0] * len(joints)
    after = safety.stale_after
    guards = [
        Guard(
            "joint state of",
            driver.joint_states,
            JointState,
            states,
            lambda: states(velocity=[*zeros[1:], np.nan]),
            lambda: states(position=robot.home[:-1]),
            stale_after=after,
        ),
        Guard(
            "effort",
            driver.joint_states,
            JointState,
            states,
            lambda: states(effort=[np.nan, *zeros[1:]]),
            lambda: states(effort=[]),
            stale_after=after,
        ),
        Guard(
            "block",
            "entities",
            Entities,
            entities,
            lambda: entities(np.nan),
            lambda: entities(poses=0),
            stale_after=safety.entities_stale_after,
        ),
        *(
            Guard(f"camera {one.name}", one.info_topic, CameraInfo, CameraInfo, stale_after=0.5)
            for one in robot.cameras
        ),
        Guard("panel/estop", "panel/estop", Bool, Bool, stale_after=0.5),
        Guard("button/estop", "button/estop", Bool, Bool, quality=LATCHED),
        Guard("deadman", "deadman", Bool, lambda: Bool(data=True), stale_after=0.5),
    ]
    if driver.wrench:

        def wrench(x: float = 0.0) -> WrenchStamped:
            message = WrenchStamped()
            message.wrench.force.x = x
            return message

        topic, after = driver.wrench.topic, driver.wrench.stale_after
        guards.append(Guard("force", topic, WrenchStamped, wrench, lambda: wrench(np.nan), stale_after=after))
    if scaling := driver.speed_scaling:
        full, unknown = partial(Float64, data=scaling.full), partial(Float64, data=np.nan)
        guards.append(Guard("speed scaling", scaling.topic, Float64, full, unknown, stale_after=scaling.stale_after))
    for fault in faults:
        value = fault.above + 1.0 if fault.above is not None else float(fault.good[0])
        guards.append(
            Guard(
                fault.topic,
                fault.topic,
                Float64,
                partial(Float64, data=value),
                partial(Float64, data=np.nan),
                quality=LATCHED if fault.latched else STATE,
                unheard=STATE if fault.latched else None,
                stale_after=fault.stale_after,
            )
        )
    for one in robot.cameras:
        if one.view:
            cut = partial(picture, rows=1)
            after = one.view.stale_after
            guards.append(
                Guard(f"picture of {one.name}", one.image_topic, Image, picture, short=cut, stale_after=after)
            )
    return robot, guards


def picture(rows: int = 2) -> Image:
    """Of 2 x 2 pixels, of which so many rows came."""
    return Image(encoding="rgb8", width=2, height=2, step=6, data=[9] * 6 * rows)


class Rig:
    """A robot's inputs and who publishes them, on a clock that a test moves."""

    def __init__(self, robot: RobotConfig, guards: list[Guard]) -> None:
        self.now = 0.0
        self.guards, self.period = guards, robot.control_period
        self.node, self.driver = rclpy.create_node("rig"), rclpy.create_node("driver")
        group = MutuallyExclusiveCallbackGroup()
        watched = WatchedTopics(self.node, group, clock=lambda: self.now)
        self.inputs = watched.inputs
        DriverInputs(self.node, robot, watched, ["block"], None)
        ObservedPictures([camera for camera in robot.cameras if camera.view]).watch(watched)
        self._loop = HotLoop(self.node, group)
        self._publishers: dict[str, Any] = {}

    def advertise(self, guard: Guard, quality: QoSProfile | None = None) -> None:
        if guard.topic not in self._publishers:
            self._publishers[guard.topic] = self.driver.create_publisher(
                guard.kind, guard.topic, quality or guard.quality
            )

    def withdraw(self, guard: Guard) -> None:
        self.driver.destroy_publisher(self._publishers.pop(guard.topic))

    def becomes(
        self, reason: Callable[[], str | None], words: str | None, instead: dict[str, Any] | None = None
    ) -> str:
        """Publish what is good, and ``instead`` (by topic) in its place, until the reason has ``words``; None: none."""
        end = time.monotonic() + PATIENCE
        while True:
            found = reason()
            if (found is None) if words is None else (words in (found or "")):
                return found or ""
            assert time.monotonic() < end, f"expected {words!r}, not {found!r}"
            for guard in self.of_each_topic():
                message = (instead or {}).get(guard.topic, guard.good)()
                if message is not None and guard.topic in self._publishers:
                    self._publishers[guard.topic].publish(message)
            self._loop.spin_until(lambda: False, 0.02)

    def of_each_topic(self) -> list[Guard]:
        """The first guard of each."""
        return list({guard.topic: guard for guard in reversed(self.guards)}.values())[::-1]

    def ready(self) -> None:
        for guard in self.guards:
            self.advertise(guard)
        self.becomes(self.inputs.not_ready_reason, None)

    def close(self) -> None:
        self.node.destroy_node()
        self.driver.destroy_node()


@pytest.fixture(params=ROBOTS)
def rig(ros: int, request: pytest.FixtureRequest) -> Iterator[Rig]:
    made = Rig(*every_guard(RobotConfig.from_yaml(config_folder() / "robots" / f"{request.param}.yaml")))
    yield made
    made.close()


def test_nothing_moves_before_each_guard_was_heard_and_each_is_asked_for_by_name(rig: Rig) -> None:
    for guard in rig.of_each_topic():
        rig.becomes(rig.inputs.not_ready_reason, guard.words)
        rig.advertise(guard)
    rig.becomes(rig.inputs.not_ready_reason, None)


def test_silence_stops_within_two_periods_of_its_bound(rig: Rig) -> None:
    rig.ready()
    for guard in rig.of_each_topic():
        rig.becomes(rig.inputs.reason, None)
        rig.withdraw(guard)

        def two_periods_late(guard: Guard = guard) -> str | None:
            if (
                guard.stale_after is not None and rig.inputs.reason() is None
            ):  # again, if a message was on its way still
                rig.now += guard.stale_after + 2 * rig.period
            return rig.inputs.reason()

        rig.becomes(two_periods_late, guard.words)
        rig.advertise(guard)


@pytest.mark.parametrize("how", ["not a number", "short"])
def test_a_broken_message_stops_at_once(rig: Rig, how: str) -> None:
    rig.ready()
    tried = 0
    for guard in rig.guards:
        broken = guard.not_a_number if how == "not a number" else guard.short
        if broken is not None:
            tried += 1
            rig.becomes(rig.inputs.reason, guard.words, {guard.topic: broken})
            rig.becomes(rig.inputs.reason, None)
    assert tried >= 3


def test_a_qos_that_cannot_be_heard_is_named_with_its_node_and_keeps_it_from_arming(rig: Rig) -> None:
    rig.ready()
    best_effort = QoSProfile(depth=1, reliability=ReliabilityPolicy.BEST_EFFORT)
    for guard in rig.guards:
        if guard.kind in SENSORS:  # heard whatever the QoS
            continue
        rig.withdraw(guard)
        rig.advertise(guard, guard.unheard or best_effort)
        reason = rig.becomes(rig.inputs.not_ready_reason, "cannot be heard")
        assert guard.topic in reason
        assert "/driver" in reason
        rig.withdraw(guard)
        rig.advertise(guard)
        rig.becomes(rig.inputs.not_ready_reason, None)

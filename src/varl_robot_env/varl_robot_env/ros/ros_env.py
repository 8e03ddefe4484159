"""The env node as a Gymnasium environment: any algorithm trains on it as on any other.

This module is what other packages may import of this one's ROS side.
"""

from __future__ import annotations

import time
from typing import Any

import gymnasium
import numpy as np
import rclpy
from rclpy.client import Client
from rclpy.node import Node
from varl_common.env_description import EnvDescription
from varl_common.errors import VarlError
from varl_common.ros.messages import from_description_msg

from varl_interfaces.msg import StepStatus
from varl_interfaces.srv import DescribeEnv, Reset, Step
from varl_robot_env.env.arm_env import checked_seed, make_spaces, observed
from varl_robot_env.env.env_core import Observation
from varl_robot_env.ros.agent_presence import announce
from varl_robot_env.ros.hot_loop import HotLoop
from varl_robot_env.ros.observation_messages import from_observation_msg
from varl_robot_env.types import Float32

# Between two reports of what is waited for, s.
_REPORT_EVERY = 5.0
# Between two questions to an env node whose robot is not ready, s.
_ASK_EVERY = 0.2
# Between two attempts to begin an episode on an arm that is stopped, s.
_RETRY_EVERY = 0.5
# An answer takes a control period or, at a reset, a real arm's way home; without one in this time the node is dead, s.
_STEP_TIMEOUT = 4.0
_RESET_TIMEOUT = 60.0
# So much more for the last step of an episode, which an advisor may be asked about, s: a model on two cores takes 10.
VERDICT_TIMEOUT = 30.0
_SLICE = 1.0


class EnvUnavailable(VarlError):
    """The env node does not answer, or cannot go on. The message says why and what to do."""


class ArmStopped(EnvUnavailable):
    """The arm was stopped, and waits for a person."""


class RosEnv(gymnasium.Env[Any, Float32]):
    """Client of an env node.

    It works in the calling thread alone and needs nobody to spin ``node``. ``info`` holds ``is_success``,
    ``executed_action``, ``interventions``, ``intervened`` (by a person, whose action it was) and, where ``capture`` is
    set, ``frames``. Where an arm that did not follow was stopped, ``void_steps`` says how many steps before were not
    carried out; a reset's ``info``, too, and 1 where a person took back the success of the episode before. Where the
    env node observes pictures, an observation is a dict of them and of ``state``
    (:func:`~varl_robot_env.env.arm_env.make_spaces`), and ``info`` holds ``state``, the whole, and ``picture_ages``.

    Attributes:
        description: names, units and bounds of everything that goes in and out, as the env node says.
        capture: whether steps and resets come with camera frames.
        waits_when_stopped: where a real arm is stopped the episode ends, and the next one waits for a person; False:
            both raise ArmStopped.
    """

    metadata = {"render_modes": []}  # noqa: RUF012  (Gymnasium's own way)

    def __init__(self, node: Node, env_name: str = "env", timeout: float = 60.0, capture: bool = False) -> None:
        """Wait for the env node and ask it what it is.

        Args:
            node: whose context, namespace and logger to use.
            env_name: name of the env node, relative to the namespace of ``node``.
            timeout: seconds to wait for the env node and its robot.
            capture: whether steps and resets come with camera frames.

        Raises:
            EnvUnavailable: it, or its robot, did not come in time.
        """
        self._logger, self._name = node.get_logger(), env_name
        self._node = rclpy.create_node(
            f"{node.get_name()}_env_client",
            namespace=node.get_namespace(),
            context=node.context,
            use_global_arguments=False,
            enable_rosout=False,
            start_parameter_services=False,
        )
        self._loop = HotLoop(self._node, self._node.default_callback_group)
        self._presence = announce(self._node, env_name)
        self._step = self._node.create_client(Step, f"{env_name}/step")
        self._reset = self._node.create_client(Reset, f"{env_name}/reset")
        # Made last: a node whose answer to it comes has discovered the others too, whose questions cannot be repeated.
        self._describe = self._node.create_client(DescribeEnv, f"{env_name}/describe")
        self.capture = capture
        self.waits_when_stopped = True
        self._steps = 0  # of the episode
        self._seen: tuple[Any, dict[str, Any]] = None, {}  # the newest observation, and its info
        try:
            self.description = self._wait_for_description(timeout)
        except BaseException:
            self.close()  # who tries again and again leaves no nodes behind
            raise
        self.observation_space, self.action_space = make_spaces(self.description)

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Any, dict[str, Any]]:
        super().reset(seed=seed)
        seed = checked_seed(seed)
        request = Reset.Request(seeded=seed is not None, seed=seed or 0, capture=self.capture)
        response = self._call(self._reset, request, _RESET_TIMEOUT)
        next_report, void_steps = time.monotonic(), 0
        while self._waits_for_a_person(response):
            void_steps = max(void_steps, response.void_steps)
            if time.monotonic() > next_report:
                self._logger.error(f"{self._name}: {response.message}")
                next_report += _REPORT_EVERY
            self._loop.spin_until(lambda: False, _RETRY_EVERY)
            response = self._call(self._reset, request, _RESET_TIMEOUT)
        void_steps = max(void_steps, response.void_steps)
        observation = from_observation_msg(self._checked(response).observation)
        self._steps = 0
        seen, info = self._seen = observed(self.description, observation)
        late = {"void_steps": void_steps} if void_steps else {}
        return seen, info | self._frames(observation) | late

    def step(self, action: Float32) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        request = Step.Request(action=self._action(action), capture=self.capture)
        self._steps += 1
        is_last = self._steps >= self.description.max_episode_steps
        response = self._call(self._step, request, _STEP_TIMEOUT + is_last * VERDICT_TIMEOUT)
        if self._waits_for_a_person(response):
            return self._interrupted(response)
        observation = from_observation_msg(self._checked(response).observation)
        seen, info = self._seen = observed(self.description, observation)
        info |= {
            "is_success": response.is_success,
            "executed_action": np.array(response.executed_action, dtype=np.float32),
            "interventions": tuple(response.interventions),
            "intervened": response.source == Step.Response.HUMAN,
        }
        info |= self._frames(observation)
        return seen, response.reward, response.terminated, response.truncated, info

    def close(self) -> None:
        self._node.destroy_node()

    def _action(self, action: Float32) -> list[float]:
        values = np.asarray(action, dtype=np.float32)
        names = self.description.action_names
        if values.shape != (len(names),):
            raise ValueError(f"the action has shape {values.shape}; expected ({len(names)},): {', '.join(names)}")
        if not np.isfinite(values).all():
            raise ValueError(f"the action {values.tolist()} is not finite; expected numbers in [-1, 1]")
        return [float(value) for value in values]

    def _frames(self, observation: Observation) -> dict[str, Any]:
        return {"frames": observation.frames} if self.capture else {}

    def _waits_for_a_person(self, response: Any) -> bool:
        """Whether a real arm stopped, which ends its episode but not the training.

        Raises:
            ArmStopped: an arm did, and nobody is to be waited for.
        """
        if response.status not in (StepStatus.STOPPED, StepStatus.STALE, StepStatus.FAILED):
            return False
        if not self.waits_when_stopped:
            raise ArmStopped(f"{self._name}: {response.message}")
        return not self.description.lock_step

    def _interrupted(self, response: Step.Response) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        """The end of an episode on an arm that was stopped: it stands where it was seen last, and nothing was done."""
        seen, info = self._seen
        info = info | {
            "is_success": False,
            "executed_action": np.zeros(len(self.description.action_names), dtype=np.float32),
            "interventions": ("stopped",),
            "intervened": False,
            "stopped": response.message,
            "void_steps": response.void_steps,
        }
        return seen, 0.0, False, True, info | ({"frames": []} if self.capture else {})

    def _checked(self, response: Any) -> Any:
        if response.status == StepStatus.INVALID_ACTION:
            raise ValueError(response.message)
        if response.status == StepStatus.NEEDS_RESET:
            raise gymnasium.error.ResetNeeded(response.message)
        if response.status != StepStatus.OK:
            raise EnvUnavailable(f"{self._name}: {response.message}")
        return response

    def _call(self, client: Client, request: Any, timeout: float) -> Any:
        future = client.call_async(request)
        end = time.monotonic() + timeout
        # In slices, so as to notice a node that died and said goodbye.
        while not self._loop.spin_until(future.done, min(_SLICE, timeout)):
            if time.monotonic() > end or not client.service_is_ready():
                client.remove_pending_request(future)
                waited = timeout - (end - time.monotonic())
                raise EnvUnavailable(f"{client.service_name} gave no answer for {waited:.1f} s: is the node alive?")
        return future.result()

    def _wait_for_description(self, timeout: float) -> EnvDescription:
        begin = time.monotonic()
        next_report, waits_for = begin + _REPORT_EVERY, ""
        while True:
            missing = [c.service_name for c in (self._describe, self._reset, self._step) if not c.service_is_ready()]
            if missing:
                waits_for = f"waiting for {', '.join(missing)}; start the {self._name} node"
            else:
                try:
                    response = self._call(self._describe, DescribeEnv.Request(), _STEP_TIMEOUT)
                except EnvUnavailable as error:  # its answer is lost where it has not discovered all of this node yet
                    waits_for = str(error)
                else:
                    if response.success:
                        return from_description_msg(response.description)
                    waits_for = f"{self._name}: {response.message}"
            now = time.monotonic()
            if now - begin > timeout:
                raise EnvUnavailable(f"gave up after {timeout:g} s: {waits_for}")
            if now > next_report:
                self._logger.warning(waits_for)
                next_report += _REPORT_EVERY
            self._loop.spin_until(lambda: False, _ASK_EVERY)

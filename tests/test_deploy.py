"""A trained policy acts on its own, and on the goals of a behaviour tree."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

rclpy = pytest.importorskip("rclpy")


@pytest.fixture
def run(processes: Any, tmp_path: Path) -> Path:
    """A short run, beside the simulated arm that it was made on."""
    processes.robot()
    folder = tmp_path / "run"
    quick = {"evaluate_every": 0, "final_episodes": 1, "filmed_episodes": 0, "advisor": "none"}
    learner = processes.learner(folder, 20, **quick)
    assert learner.wait(90) == 0, learner.output
    return folder


@pytest.fixture
def client(ros: int) -> Iterator[Any]:
    node = rclpy.create_node("tree")
    yield node
    node.destroy_node()


def test_it_plays_what_is_asked_for_and_counts(run: Path, processes: Any) -> None:
    deploy = processes.node("varl_agent", "deploy", run_dir=run, episodes=2)
    assert deploy.wait(60) == 0, deploy.output
    assert "of 2 episodes succeeded" in deploy.output
    assert not (run / "evaluation.json").exists()


def test_goals_are_reached_cancelled_refused_and_aborted(run: Path, processes: Any, client: Any) -> None:
    from action_msgs.msg import GoalStatus
    from rclpy.action import ActionClient
    from std_srvs.srv import Trigger

    from varl_interfaces.action import RunPolicy

    deploy = processes.node("varl_agent", "deploy", run_dir=run, start="goal")
    actions = ActionClient(client, RunPolicy, "deploy/run_policy")
    assert actions.wait_for_server(60), deploy.output
    feedback: list[Any] = []

    def wait(future: Any) -> Any:
        rclpy.spin_until_future_complete(client, future, timeout_sec=60)
        assert future.done(), deploy.output
        return future.result()

    def send(**goal: Any) -> Any:
        return wait(actions.send_goal_async(RunPolicy.Goal(**goal), lambda heard: feedback.append(heard.feedback)))

    def result(handle: Any) -> tuple[int, Any]:
        answer = wait(handle.get_result_async())
        return answer.status, answer.result

    assert not send(seconds=-1.0).accepted
    first = send(episodes=2)
    assert first.accepted
    assert not send(episodes=1).accepted, "another is being worked on"
    status, words = result(first)
    assert (status, words.episodes) == (GoalStatus.STATUS_SUCCEEDED, 2), words.message
    assert words.success_rate == pytest.approx(words.successes / 2)
    assert feedback[-1].episodes in (1, 2), "the last may come after the result"

    endless = send()
    feedback.clear()
    while not feedback:
        rclpy.spin_once(client, timeout_sec=1.0)
    wait(endless.cancel_goal_async())
    status, words = result(endless)
    assert (status, words.episodes) == (GoalStatus.STATUS_CANCELED, feedback[-1].episodes)

    stopped = send()
    wait(client.create_client(Trigger, "env/stop").call_async(Trigger.Request()))
    status, words = result(stopped)
    assert status == GoalStatus.STATUS_ABORTED
    assert "rearm" in words.message
    assert result(send(episodes=1))[0] == GoalStatus.STATUS_ABORTED, "it is still stopped"

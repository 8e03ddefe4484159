"""The node ``learner``: acts and learns on the robots of its graph, asks for advice, leaves a run folder."""

from __future__ import annotations

import os
from importlib.metadata import version
from typing import Any, cast

from rclpy.node import Node
from std_srvs.srv import Trigger
from varl_common.env_description import EnvDescription, as_yaml
from varl_common.errors import VarlError
from varl_common.ros.messages import to_description_msg
from varl_common.ros.node import declare_parameters, run_node
from varl_common.task_plans import no_plan_for
from varl_robot_env.ros.ros_env import EnvUnavailable, RosEnv

from varl_agent.datasets.lerobot_source import import_lerobot, is_lerobot
from varl_agent.deployment.warm_start import start_from
from varl_agent.nodes.background_executor import executor_in_background
from varl_agent.nodes.ros_advisor import RosAdvisor
from varl_agent.nodes.status import StatusTopic
from varl_agent.nodes.wait_for import wait_for
from varl_agent.pixels.encoding import encoded
from varl_agent.replay.buffer import PersistentReplayBuffer
from varl_agent.replay.minari import import_minari
from varl_agent.sac.varl import VARL
from varl_agent.training import checkpoint
from varl_agent.training.control import InterruptHandler, TrainingControl
from varl_agent.training.evaluation import EVALUATION_STREAM, EpisodeResult, play
from varl_agent.training.metrics import TrainingMetrics
from varl_agent.training.progress import make_display
from varl_agent.training.record import Phase
from varl_agent.training.run_folder import RunFolder
from varl_agent.training.settings import LearnerSettings, make_learning, make_model
from varl_agent.training.training import Schedule, Stopped, Training, identity_of
from varl_agent.vec_env.fleet import Fleet
from varl_agent.vec_env.parallel_env import ParallelEnv, episode_seed

ADVISOR_PATIENCE = 10.0  # seconds: training can do without


class LearnerNode(Node):
    """Parameters, topics and services; :func:`train` is what it does."""

    def __init__(self) -> None:
        super().__init__("learner")
        self.settings = declare_parameters(self, LearnerSettings)
        self.control = TrainingControl()
        self.folder = RunFolder(self.settings.run_dir)
        self.status = StatusTopic(self, self.folder.name, self.settings.steps)
        self.display = make_display(os.environ.get("VARL_TTY") == "1")
        for name in ("pause", "resume", "save", "stop"):
            self.create_service(Trigger, f"~/{name}", getattr(self, f"_{name}"))

    def show(self, metrics: TrainingMetrics) -> None:
        """To the terminal and the status topic."""
        self.display.show(metrics)
        self.status.show(metrics)

    def _pause(self, request: Trigger.Request, response: Trigger.Response) -> Trigger.Response:
        self.control.paused.set()
        return _done(response, "pauses after the present step; call resume to go on")

    def _resume(self, request: Trigger.Request, response: Trigger.Response) -> Trigger.Response:
        self.control.paused.clear()
        return _done(response, "goes on")

    def _save(self, request: Trigger.Request, response: Trigger.Response) -> Trigger.Response:
        self.control.save_requested.set()
        return _done(response, f"saves a checkpoint in {self.folder.checkpoints} after the present step")

    def _stop(self, request: Trigger.Request, response: Trigger.Response) -> Trigger.Response:
        self.control.stop()
        return _done(response, "saves a checkpoint and ends after the present step")


def _done(response: Trigger.Response, message: str) -> Trigger.Response:
    response.success, response.message = True, message
    return response


def train(node: LearnerNode) -> None:
    """The node's life, in the main thread; its callbacks run in another.

    Raises:
        VarlError: a node is missing or died, or a parameter or checkpoint does not fit.
    """
    with InterruptHandler(node.control) as interrupts, executor_in_background(node):
        try:
            _train(node)
        except (KeyboardInterrupt, Stopped, EnvUnavailable) as error:
            if not node.control.explains(error):
                node.status.end(Phase.FAILED, str(error))
                raise
            interrupts.disarm()
            node.display.close()  # the bar is drawn anew beneath whatever is said before
            begun = checkpoint.list_checkpoints(node.folder.checkpoints)
            words = f"stopped; to go on: {node.folder.way_on}" if begun else "stopped before it began: no run is left"
            node.status.end(Phase.PAUSED, words)
            node.display.say(words)
        except Exception as error:
            node.status.end(Phase.FAILED, str(error))
            raise
        finally:
            node.display.close()
            node.folder.remove_unless_begun()


def _train(node: LearnerNode) -> None:
    settings, folder, control = node.settings, node.folder, node.control
    folder.reopen() if settings.resume else folder.create()
    robot = _robot(node, settings.envs[0])
    description = robot.description
    lock_step = description.lock_step
    advisor = _advisor(node, description)
    identity = identity_of(description)
    # Another task's run is refused here, before its replay is opened.
    newest = checkpoint.load_newest(folder.checkpoints, identity) if settings.resume else None
    env = _environment(node, robot)
    model = make_model(settings, env, advisor, lock_step, folder.replay)
    training = Training(
        model,
        env,
        folder,
        identity,
        Schedule(
            settings.steps,
            settings.evaluate_every,
            settings.evaluation_episodes,
            settings.checkpoint_every,
            settings.keep_checkpoints,
            lock_step,
        ),
        make_learning(settings, model, control.stopping.is_set, lock_step),
        control,
        node.show,
    )
    if newest is not None:
        node.display.say(training.resume(*newest))
    elif settings.start_from:
        node.display.say(start_from(RunFolder(settings.start_from), model, description, settings))
    if newest is None and settings.demonstrations:
        added = _demonstrations(settings.demonstrations, model, description)
        node.display.say(f"starts with {added} demonstrated transitions of {settings.demonstrations}")
    folder.write_config({"learner": settings.model_dump(), "env": as_yaml(description), "versions": _versions()})
    folder.point_latest()
    node.display.say(f"learns {description.task} with {description.robot} on {description.backend}: {folder.path}")
    try:
        training.run()
        _finish(node, training, description)
    finally:
        training.close()


def _finish(node: LearnerNode, training: Training, description: EnvDescription) -> None:
    """Evaluate, write the report, show it."""
    # Here for matplotlib's sake: training need not wait for it to load.
    from varl_agent.training.report import print_table, save_pictures, summary, write_report

    settings, folder = node.settings, node.folder
    final = training.evaluate(settings.final_episodes)
    pictures = save_pictures(folder, _film(training, settings))
    advisor = ", ".join(training.model.guidance.advisors) or settings.advisor  # as it calls itself
    values = summary(training.metrics_reader.read(training.record), description.task, settings.seed, advisor, final)
    write_report(folder, values, training.record)
    node.display.close()
    print_table(values, folder, _next(folder, [str(path) for path in pictures]))
    node.status.end(Phase.FINISHED, f"success {values['success_rate']:.2f}")


def _demonstrations(folder: str, model: VARL, description: EnvDescription) -> int:
    """Add a dataset's transitions to the replay, of whichever of the two formats it is."""
    assert isinstance(model.replay_buffer, PersistentReplayBuffer)
    if is_lerobot(folder):
        names = tuple(description.observation_names), tuple(description.action_names)
        return import_lerobot(folder, model.replay_buffer, *names, model.successes)
    return import_minari(folder, model.replay_buffer, successes=model.successes)


def _robot(node: LearnerNode, name: str) -> Any:
    """A client of the env node ``name``, once that is there; says every few seconds what it waits for."""
    return encoded(RosEnv(node, env_name=name, timeout=node.settings.patience), node.settings.encoder)


def _environment(node: LearnerNode, first: Any) -> ParallelEnv:
    """The robot, or all of them: the others may join late."""
    settings = node.settings
    if len(settings.envs) == 1:
        return ParallelEnv([first], settings.seed)
    robots: list[Any] = [first, *[None] * (len(settings.envs) - 1)]
    lock_step = first.description.lock_step
    return Fleet(
        robots,
        lambda index: _robot(node, settings.envs[index]),
        settings.seed,
        lock_step,
        settings.patience,
        node.display.say,
    )


def _advisor(node: LearnerNode, description: EnvDescription) -> RosAdvisor | None:
    """A client of the advisor node; training goes on where it does not come."""
    if node.settings.advisor == "none":
        return None
    nobody = no_plan_for(description.task) if node.settings.advisor in ("sight", "scripted") else ""
    if nobody:
        node.display.say(f"learns without advice: {nobody}")
    # The scripted stand-in looks at the state alone: no need to render for it.
    wants_frames = node.settings.advisor != "scripted" and bool(description.cameras)
    advisor = RosAdvisor(node, to_description_msg(description), node.settings.advice.deadline, "advisor", wants_frames)
    try:
        there = {"the node 'advisor'": lambda: advisor.ready}
        wait_for(there, ADVISOR_PATIENCE, node.display.say, node.control.stopping.is_set)
        advisor.look_up_strategy()
    except VarlError as error:
        node.display.say(f"goes on without advice for now: {error}")
    return advisor


def _film(training: Training, settings: LearnerSettings) -> list[EpisodeResult]:
    """A few episodes of the trained policy, with pictures."""
    robot = training.env.envs[0]
    client = cast(RosEnv, robot.unwrapped)
    if not client.description.cameras:
        return []
    client.capture = True
    try:
        seeds = [episode_seed(settings.seed, EVALUATION_STREAM, i) for i in range(settings.filmed_episodes)]
        return [play(training.model, robot, seed) for seed in seeds]
    finally:
        client.capture = False


def _next(folder: RunFolder, pictures: list[str]) -> list[tuple[str, str]]:
    run = os.path.relpath(folder.path)
    shown = [(f"xdg-open {os.path.relpath(pictures[-1])}", "see what it learned")] if pictures else []
    workspace = os.environ.get("COLCON_PREFIX_PATH", "").split(os.pathsep)[0]
    by_make = bool(workspace) and "MAKELEVEL" in os.environ  # the terminal itself has not entered the workspace
    entered = [(f"source {os.path.relpath(workspace)}/setup.bash", "so that this terminal knows what follows")]
    return [
        *(entered if by_make else []),
        (f"varl evaluate run:={run}", "play the policy again"),
        *shown,
        (f"tensorboard --logdir {run}/tensorboard", "every curve"),
    ]


def _versions() -> dict[str, str]:
    return {name: version(name) for name in ("torch", "stable_baselines3", "gymnasium", "numpy")}


def main() -> None:
    """Run the node."""
    run_node(LearnerNode, train)

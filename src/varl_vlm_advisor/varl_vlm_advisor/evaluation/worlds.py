"""Simulated tasks with an expert: where labelled states come from, and where advice is tried out."""

from __future__ import annotations

import warnings
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray
from varl_common.env_description import EnvDescription
from varl_common.errors import VarlError, did_you_mean
from varl_common.frame import Frame
from varl_common.image_codec import encode_depth, encode_jpeg
from varl_common.task_plans import PLANS

Vector = NDArray[np.float32]

WIDTH, HEIGHT = 640, 480
CANNOT_RENDER = "this machine cannot render; install libegl1 (Debian) and set MUJOCO_GL=egl"
_LEAST_SEEN = 2e-4
"""Share of the picture: of 320x240, 15 pixels, an eighth of the block."""


class World(Protocol):
    """A task that starts the same way from the same seed, so that seed and actions are the simulator's state."""

    env: EnvDescription

    def reset(self, seed: int) -> Vector:
        """Begin an episode; the state, shape (obs_dim,)."""

    def step(self, action: Vector) -> tuple[Vector, float, bool]:
        """The next state, the dense reward, and whether the task is solved."""

    def expert(self, state: Vector) -> Vector:
        """What the expert does in ``state``, shape (act_dim,) in [-1, 1]."""

    def frame(self) -> Frame:
        """A picture of now."""

    def close(self) -> None:
        """Close the renderer."""


def make_world(task: str) -> World:
    """The world of a task: ``reach``, ``push``, ``lift``, or one of Meta-World, such as ``drawer-open-v3``.

    Raises:
        VarlError: the task is unknown, or its package is not installed.
    """
    try:
        return ArmWorld(task) if task in PLANS else MetaWorld(task)
    except ImportError as error:
        raise VarlError(f"task {task!r} needs {error.name}, which is not installed; pip install {error.name}") from None


def make_varied_world(task: str, depth: bool = False, **looks: Any) -> ArmWorld:
    """The world of one of the project's own tasks, whose look :meth:`ArmWorld.restyle` changes.

    ``depth``: whether frames come with depth, which costs as much as the picture. ``looks``: fields of
    :class:`varl_robot_env.env.arm_env.Looks`.

    Raises:
        VarlError: the task is none of the project's own.
    """
    from varl_robot_env.env.arm_env import ArmEnv, Looks

    if task not in PLANS:
        raise VarlError(f"unknown task {task!r}; {did_you_mean(task, list(PLANS))}")
    env = ArmEnv(task, reward="dense", looks=Looks(**looks))
    env.arm.depth = depth
    return ArmWorld(task, env)


class ArmWorld:
    """One of the project's own tasks in process; the expert is its plan."""

    def __init__(self, task: str, env: Any = None) -> None:
        """``env``: an ArmEnv to look at; None: make one."""
        from varl_robot_env.env.arm_env import ArmEnv

        self._env = env or ArmEnv(task, reward="dense")
        self.env = self._env.description

    def reset(self, seed: int) -> Vector:
        """Begin an episode."""
        return self._env.reset(seed=seed)[0]

    def step(self, action: Vector) -> tuple[Vector, float, bool]:
        """One control period."""
        state, reward, _, _, info = self._env.step(action)
        return state, reward, info["is_success"]

    def expert(self, state: Vector) -> Vector:
        """The task's plan."""
        action: Vector = PLANS[self.env.task].actions(state[None], self.env)[0]
        return action

    def restyle(self, seed: int) -> None:
        """Another look; needs an ArmEnv that was made with ``looks``."""
        self._env.restyle(seed)

    def frame(self) -> Frame:
        """Raises VarlError where this machine cannot render."""
        frames = self._env.arm.frames()
        if not frames:
            raise VarlError(CANNOT_RENDER)
        return frames[0]

    def in_sight(self) -> dict[str, NDArray[np.float64]]:
        """The middle (2,) px of what a picture of now shows of each object; without those of which it shows hardly any.

        Raises VarlError where this machine cannot render.
        """
        simulation = self._env.arm.simulation
        parts = simulation.camera.render_parts(simulation.data)
        if parts is None:
            raise VarlError(CANNOT_RENDER)
        middles = {}
        for name in self.env.entities:
            if name != "tool":
                rows, columns = np.nonzero(parts == simulation.model.geom(name).id)
                if rows.size >= _LEAST_SEEN * parts.size:
                    middles[name] = np.array([columns.mean(), rows.mean()])
        return middles

    def close(self) -> None:
        """Close the renderer."""
        self._env.close()


class MetaWorld:
    """A task of Meta-World; the expert is its scripted policy, the dense reward its own."""

    _CAMERA = "corner2"

    def __init__(self, task: str, env: Any = None) -> None:
        """``env``: Meta-World's own to look at; None: a new one."""
        import mujoco
        from metaworld.env_dict import ALL_V3_ENVIRONMENTS_GOAL_OBSERVABLE as TASKS
        from metaworld.policies import ENV_POLICY_MAP

        if task not in ENV_POLICY_MAP:
            raise VarlError(f"unknown task {task!r}; {did_you_mean(task, [*PLANS, *ENV_POLICY_MAP])}")
        warnings.filterwarnings("ignore", "Constant", module="metaworld.policies")  # they clip, and so do we
        self._mujoco = mujoco
        make: Any = TASKS[f"{task}-goal-observable"]
        policy: Any = ENV_POLICY_MAP[task]
        self._env = env or make(seed=0)
        self._env._freeze_rand_vec, self._env.seeded_rand_vec = False, True
        self._policy = policy()
        self._renderer: Any = None
        self.env = _describe(task)

    def reset(self, seed: int) -> Vector:
        """Begin an episode."""
        self._env.seed(seed)
        return np.asarray(self._env.reset()[0], np.float32)

    def step(self, action: Vector) -> tuple[Vector, float, bool]:
        """One step of 12.5 ms."""
        state, reward, _, _, info = self._env.step(np.clip(action, -1.0, 1.0))
        return np.asarray(state, np.float32), float(reward), bool(info["success"])

    def expert(self, state: Vector) -> Vector:
        """The task's scripted policy, clipped."""
        return np.clip(self._policy.get_action(state.astype(np.float64)), -1.0, 1.0).astype(np.float32)

    def frame(self) -> Frame:
        """Turned upright: Meta-World's corner cameras hang upside down."""
        model, data = self._env.model, self._env.data
        if self._renderer is None:
            model.light_castshadow[:] = 0  # shadows cost 50 times the rest where there is no GPU
            model.vis.quality.offsamples = 0
            model.vis.global_.offwidth, model.vis.global_.offheight = WIDTH, HEIGHT
            self._renderer = self._mujoco.Renderer(model, HEIGHT, WIDTH)
        self._renderer.update_scene(data, camera=self._CAMERA)
        image = np.ascontiguousarray(self._renderer.render()[::-1, ::-1])  # upright
        self._renderer.enable_depth_rendering()
        millimetres = np.clip(1000 * self._renderer.render()[::-1, ::-1], 0, np.iinfo(np.uint16).max).astype(np.uint16)
        self._renderer.disable_depth_rendering()
        camera = model.camera(self._CAMERA).id
        focal = HEIGHT / 2 / np.tan(np.radians(model.cam_fovy[camera]) / 2)
        k = np.array([[focal, 0, (WIDTH - 1) / 2], [0, focal, (HEIGHT - 1) / 2], [0, 0, 1]])
        pose = np.eye(4)
        # MuJoCo looks along -z with y up; turned by half a turn about the line of sight, x points left and y up again.
        pose[:3, :3] = data.cam_xmat[camera].reshape(3, 3) @ np.diag([-1.0, 1.0, -1.0])
        pose[:3, 3] = data.cam_xpos[camera]
        return Frame(self._CAMERA, encode_jpeg(image), encode_depth(millimetres), k, pose)

    def close(self) -> None:
        """Close the renderer."""
        if self._renderer is not None:
            self._renderer.close()
            self._renderer = None


# In Meta-World's words; tasks that are not here are named by their name.
_INSTRUCTIONS = {
    "reach-v3": "Move the gripper to the red goal sphere.",
    "push-v3": "Push the red puck to the green goal.",
    "pick-place-v3": "Pick up the red puck and bring it to the goal sphere in the air.",
    "drawer-open-v3": "Open the drawer by pulling its handle.",
    "button-press-topdown-v3": "Press the red button from above.",
    "coffee-button-v3": "Press the button of the coffee machine.",
    "plate-slide-v3": "Slide the plate into the cabinet.",
    "faucet-open-v3": "Turn the faucet's handle to open it.",
    "door-open-v3": "Open the door by its handle.",
}


def _describe(task: str) -> EnvDescription:
    thing = [f"{axis}" for axis in ("x", "y", "z", "qx", "qy", "qz", "qw")]
    now = [*(f"tool_{a}" for a in "xyz"), "gripper", *(f"object_{a}" for a in thing), *(f"second_{a}" for a in thing)]
    names = [*now, *(f"before_{name}" for name in now), *(f"goal_{a}" for a in "xyz")]
    return EnvDescription(
        task=task,
        robot="sawyer",
        backend="mujoco",
        instruction=_INSTRUCTIONS.get(task, task.removesuffix("-v3").replace("-", " ").capitalize() + "."),
        base_frame="world",
        observation_names=names,
        observation_units=["m" if name.endswith(("_x", "_y", "_z")) else "" for name in names],
        observation_low=np.full(len(names), -1.0, np.float32),
        observation_high=np.full(len(names), 1.0, np.float32),
        action_names=["dx", "dy", "dz", "gripper"],
        action_units=["m", "m", "m", ""],
        action_scale=np.array([0.01, 0.01, 0.01, 1.0]),
        entities=["tool", "object", "goal"],
        entity_indices=[0, 4, 36],
        control_period=0.0125,
        max_episode_steps=500,
        lock_step=True,
        cameras=["corner2"],
    )

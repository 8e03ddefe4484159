"""Advice as short trajectories: where the tool is to be from a shown state on. It guides in the states near them.

Whoever is shown a moment says not what to do in the next instant but how the tool goes on from there: k waypoints, as
a gripper that is tracked in a demonstration or in a generated video gives them. A state is guided by the trajectory
that is nearest to it: of which the things stood as they do now, and the tool came by where it is now. There the tool
is steered at a point further along, not at the nearest one (pure pursuit; Coulter, CMU-RI-TR-92-01), so that noise in
the single waypoints is evened out and what is asked for in neighbouring states goes one way.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np

from varl_common.env_description import MOTIONS, TOOL, Scene
from varl_common.errors import VarlError, expect
from varl_common.plan import FARTHEST, GRIPPER, SHUT, Plan, check_scene

AHEAD = 0.04  # m along the trajectory: twice what a tracked gripper is misplaced by
_AT_ONCE = 64  # states that are compared with all waypoints in one go, which bounds the memory that takes


@dataclass(frozen=True, eq=False)
class Trajectories(Plan):
    """Steers along the nearest of n trajectories.

    Attributes:
        starts: (n, obs_dim) the shown states.
        waypoints: (n, k, 4) where the tool is to be thereafter, x, y, z, metres, base frame, and how far its gripper is
            open, 0 shut to 1 wide; nan where that was not seen. Where all openings are nan the gripper is left alone.
    """

    phases: tuple[()] = ()
    starts: np.ndarray = field(default_factory=lambda: np.empty((0, 0), np.float32))
    waypoints: np.ndarray = field(default_factory=lambda: np.empty((0, 0, 4), np.float32))

    def check(self, scene: Scene) -> None:
        """Raises VarlError where the scene is none, there is no trajectory, or a shape or a number is wrong."""
        check_scene(scene)
        n, width = len(self.starts), len(scene.observation_names)
        fits = self.starts.ndim == 2 and n > 0 and self.starts.shape[1] >= width
        expect(fits, "starts", self.starts.shape, f"(n, {width}), n above 0")
        right = self.waypoints.ndim == 3 and self.waypoints.shape[::2] == (n, 4) and self.waypoints.shape[1] > 0
        expect(right, "waypoints", self.waypoints.shape, f"({n}, k, 4), k above 0")
        far = self.waypoints[np.abs(self.waypoints) > FARTHEST]  # nan is not
        if far.size:
            raise VarlError(
                f"a trajectory holds {far[0]}; expected at most {FARTHEST:g}, nan where the tool was not seen"
            )
        if not (np.abs(self.starts) <= np.finfo(np.float32).max).all():
            raise VarlError("a trajectory starts in a state that is not finite as float32; expected one that was shown")
        if not np.isfinite(self.waypoints[..., :3]).any(axis=1).all():
            raise VarlError("a trajectory shows the tool nowhere; expected a place in one waypoint or more")

    def actions(self, states: np.ndarray, scene: Scene) -> np.ndarray:
        """(n, obs_dim) states to (n, act_dim) in [-1, 1]."""
        states = np.asarray(states, np.float32)
        return np.concatenate(
            [self._actions(part, scene) for part in np.split(states, range(_AT_ONCE, len(states), _AT_ONCE))]
        )

    def _actions(self, states: np.ndarray, scene: Scene) -> np.ndarray:
        at = dict(zip(scene.entities, scene.entity_indices, strict=True))
        things = [first + axis for name, first in at.items() if name != TOOL for axis in range(3)]
        tool = states[:, at[TOOL] : at[TOOL] + 3]
        paths, lengths = self._paths[0][..., :3], self._paths[1]
        apart = ((tool[:, None, None] - paths) ** 2).sum(-1)  # (states, n, k)
        moved = ((states[:, None, things] - self.starts[None][..., things]) ** 2).sum(-1)
        nearest = (apart.min(2) + moved).argmin(1)
        rows = np.arange(len(states))
        passed = lengths[nearest, apart[rows, nearest].argmin(1)]
        ahead = (lengths[nearest] < (passed + AHEAD)[:, None]).sum(1).clip(max=paths.shape[1] - 1)
        aim = self._paths[0][nearest, ahead]
        actions = np.zeros((len(states), len(scene.action_names)), np.float32)
        for i, name in enumerate(scene.action_names):
            if name in MOTIONS:
                axis = MOTIONS.index(name)
                actions[:, i] = (aim[:, axis] - tool[:, axis]) / scene.action_scale[i]
            elif name == GRIPPER:
                actions[:, i] = np.where(np.isnan(aim[:, 3]), 0.0, np.where(aim[:, 3] < SHUT, 1.0, -1.0))
        return np.clip(actions, -1.0, 1.0)

    @cached_property
    def _paths(self) -> tuple[np.ndarray, np.ndarray]:
        """(n, k, 4) waypoints, those unseen in line between their neighbours, and (n, k) metres along the path."""
        paths = self.waypoints.copy()
        k = np.arange(paths.shape[1])
        for path in paths:
            for column in path.T:
                seen = np.isfinite(column)
                column[:] = np.interp(k, k[seen], column[seen]) if seen.any() else np.nan
        steps = np.linalg.norm(np.diff(paths[..., :3], axis=1), axis=2)
        return paths, np.concatenate([np.zeros((len(paths), 1)), np.cumsum(steps, 1)], 1).astype(np.float32)

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> Trajectories:
        """Inverse of :meth:`as_dict`."""
        starts, waypoints = (np.array(data[name], np.float32) for name in ("starts", "waypoints"))  # null becomes nan
        return cls(reason=data["reason"], starts=starts, waypoints=waypoints)

    def as_dict(self) -> dict[str, Any]:
        """Plain data, fit for JSON."""
        nothing: Any = None
        waypoints = np.where(np.isnan(self.waypoints), nothing, self.waypoints).tolist()
        return {"starts": self.starts.tolist(), "waypoints": waypoints, "reason": self.reason}


def trajectories(states: np.ndarray, ways: dict[int, np.ndarray]) -> Trajectories | None:
    """Those that begin in some of ``states`` (n, obs_dim), by index, each of 4 k numbers; None where there are none.

    The shorter ones stay where they end. What is no multiple of four numbers long is left out.
    """
    known = {i: way.reshape(-1, 4) for i, way in ways.items() if way.size and way.size % 4 == 0}
    if not known:
        return None
    longest = max(map(len, known.values()))
    waypoints = [np.concatenate([way, np.repeat(way[-1:], longest - len(way), axis=0)]) for way in known.values()]
    return Trajectories(starts=states[list(known)].astype(np.float32), waypoints=np.stack(waypoints))

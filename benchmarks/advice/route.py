"""A plan of a maze: waypoints in free space, and which of them are joined. It leads to the goal from any state.

Start and goal of a maze are drawn anew each episode, so that no chain of phases solves it. But whoever sees the maze
can name places that are free, and say from which one can go straight to which, once for all goals.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
from scipy.sparse.csgraph import shortest_path
from scipy.spatial.distance import cdist
from varl_common.errors import expect
from varl_common.plan import Plan, Scene

STATE = ["x", "y", "vx", "vy", "goal_x", "goal_y"]  # what a state is made of
LOOK_AHEAD = 0.3  # s: the point is steered by where it will be, so that it brakes before a turn
GAIN = 4.0  # full force at a quarter of a cell's width from the way


@dataclass(frozen=True, eq=False)
class Route(Plan):
    """Steers from waypoint to waypoint, the shortest way, and from the goal's own to the goal.

    Attributes:
        waypoints: (k, 2) metres.
        joined: (k, k) whether one can go straight from one to the other.
    """

    phases: tuple[()] = ()
    waypoints: np.ndarray = field(default_factory=lambda: np.empty((0, 2)))
    joined: np.ndarray = field(default_factory=lambda: np.empty((0, 0), bool))

    @cached_property
    def _ways(self) -> tuple[np.ndarray, np.ndarray]:
        """(k, k) metres from each waypoint to each, infinite where no way is known, and the next one on it."""
        lengths = cdist(self.waypoints, self.waypoints) * self.joined
        distances, before = shortest_path(lengths, directed=False, return_predecessors=True)
        stay = np.arange(len(lengths))[:, None]
        return distances, np.where(before.T < 0, stay, before.T)

    @classmethod
    def through(cls, maze: Any) -> Route:
        """A waypoint in each free cell of a PointMaze, joined to those beside it."""
        cells = np.argwhere(np.array([[cell != 1 for cell in row] for row in maze.maze_map]))
        waypoints = np.array([maze.cell_rowcol_to_xy(cell) for cell in cells])
        return cls(waypoints=waypoints, joined=cdist(cells, cells, "cityblock") == 1)

    def check(self, scene: Scene) -> None:
        """Raises VarlError where a state is none of a maze, or there is no waypoint."""
        names = list(scene.observation_names)
        expect(names == STATE, "observation", names, f"{', '.join(STATE)}: a route is a plan of a maze")
        expect(len(self.waypoints) > 0, "route", "without waypoints", "one or more")

    def actions(self, states: np.ndarray, scene: Scene | None = None) -> np.ndarray:
        """(n, 6) states to (n, 2) forces in [-1, 1]."""
        position, velocity, goal = states[:, :2], states[:, 2:4], states[:, 4:6]
        here, there = self._nearest(position), self._nearest(goal)
        aim = np.where((here == there)[:, None], goal, self.waypoints[self._ways[1][here, there]])
        return np.clip(GAIN * (aim - position - LOOK_AHEAD * velocity), -1.0, 1.0).astype(np.float32)

    def distance(self, state: np.ndarray) -> float:
        """Metres from the point's waypoint to the goal's, along the way."""
        return float(self._ways[0][self._nearest(state[None, :2]), self._nearest(state[None, 4:6])][0])

    def _nearest(self, points: np.ndarray) -> np.ndarray:
        return cdist(points, self.waypoints).argmin(axis=1)


class Contrary(Route):
    """Steers away from where a route leads."""

    def actions(self, states: np.ndarray, scene: Scene | None = None) -> np.ndarray:
        return -super().actions(states, scene)

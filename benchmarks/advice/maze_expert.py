"""The way through a PointMaze: breadth-first search from the goal, and a push towards the next cell on it."""

from __future__ import annotations

from collections import deque
from typing import Any

import numpy as np

LOOK_AHEAD = 0.3  # s: the point is steered by where it will be, so that it brakes before a turn
GAIN = 4.0  # full force at a quarter of a cell's width from the way


class MazeExpert:
    """(n, 6) states (x, y, vx, vy, goal x, goal y) to (n, 2) forces in [-1, 1]."""

    def __init__(self, maze: Any) -> None:
        self.maze = maze
        self.free = np.array([[cell != 1 for cell in row] for row in maze.maze_map])
        self._fields: dict[tuple[int, int], np.ndarray] = {}

    def __call__(self, states: np.ndarray) -> np.ndarray:
        return np.stack([self._force(state.astype(np.float64)) for state in states])

    def _force(self, state: np.ndarray) -> np.ndarray:
        position, velocity, goal = state[:2], state[2:4], state[4:6]
        here, there = self._cell(position), self._cell(goal)
        if here == there:
            aim = goal
        else:
            field = self._distances(there)
            around = [(here[0] + i, here[1] + j) for i, j in ((0, 1), (1, 0), (0, -1), (-1, 0))]
            inside = [c for c in around if 0 <= c[0] < field.shape[0] and 0 <= c[1] < field.shape[1]]
            best = min(inside, key=lambda cell: field[cell[0], cell[1]])
            aim = np.asarray(self.maze.cell_rowcol_to_xy(np.array(best)))
        return np.clip(GAIN * (aim - position - LOOK_AHEAD * velocity), -1.0, 1.0)

    def distance(self, state: np.ndarray) -> float:
        """Cells from the point to the goal, along the way."""
        here, there = self._cell(state[:2]), self._cell(state[4:6])
        return float(self._distances(there)[here[0], here[1]])

    def _cell(self, position: np.ndarray) -> tuple[int, int]:
        row, column = self.maze.cell_xy_to_rowcol(position)
        return int(row), int(column)

    def _distances(self, goal: tuple[int, int]) -> np.ndarray:
        """Cells to the goal from every cell; infinite in walls."""
        if goal not in self._fields:
            field: np.ndarray = np.full(self.free.shape, np.inf)
            field[goal] = 0.0
            queue = deque([goal])
            while queue:
                i, j = queue.popleft()
                for cell in ((i, j + 1), (i + 1, j), (i, j - 1), (i - 1, j)):
                    inside = 0 <= cell[0] < field.shape[0] and 0 <= cell[1] < field.shape[1]
                    if inside and self.free[cell] and field[cell[0], cell[1]] == np.inf:
                        field[cell] = field[i, j] + 1
                        queue.append(cell)
            self._fields[goal] = field
        return self._fields[goal]

"""Draws what ros2_control's own joint_trajectory_controller made of commands: docs/pictures/real_controller.png.

    python docs/pictures/draw_trace.py trace.npz     # of python -m benchmarks.real_controller --trace trace.npz

Before: single points without velocities at 20 Hz, recorded with the same controller (a test's data). After: the hardest
second of a training.
"""

from __future__ import annotations

import sys
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np

HERE = Path(__file__).parent
BEFORE = HERE.parents[1] / "src/varl_robot_env/test/simulation/data/joint_trajectory_controller.npz"
WINDOW = 0.05  # s
SHOWN = 0.5  # s to each side of the middle


def main() -> None:
    old, new = np.load(BEFORE), np.load(sys.argv[1])
    first = old["bang_points_time"][0] + 1.5
    columns = {
        "before: a point a period": (
            old["bang_points_time"] - first,
            old["bang_points_joints"].astype(np.float64),
            old["bang_points_sent"] - first,
        ),
        "after: motions that begin where the last one is": (new["time"], new["joints"], new["sent"]),
    }
    figure, axes = plt.subplots(3, 2, figsize=(11, 6.5), sharex=True, sharey="row")
    for column, (title, (time, joints, sent)) in enumerate(columns.items()):
        shown = np.abs(time) < SHOWN
        joint = int(np.ptp(joints[shown], axis=0).argmax())
        place = joints[:, joint]
        at = np.arange(-SHOWN, SHOWN, 0.002)
        before, here, after = (np.interp(at + shift, time, place) for shift in (-WINDOW, 0.0, WINDOW))
        axes[0, column].plot(at, here - here.mean())
        axes[1, column].plot(at, np.gradient(here, at))
        axes[2, column].plot(at, (before - 2 * here + after) / WINDOW**2)
        for axis in axes[:, column]:
            for beat in sent[np.abs(sent) < SHOWN]:
                axis.axvline(beat, color="0.85", linewidth=0.8, zorder=0)
        axes[0, column].set_title(title)
        axes[2, column].set_xlabel("s; a line where a command was sent")
    for axis, name in zip(
        axes[:, 0], ("joint, rad", "its speed, rad/s", "its acceleration\nover 50 ms, rad/s²"), strict=True
    ):
        axis.set_ylabel(name)
    figure.tight_layout()
    figure.savefig(HERE / "real_controller.png", dpi=90)


if __name__ == "__main__":
    main()

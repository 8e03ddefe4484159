"""Draws the pictures of docs/watching.md from a run that is under way, with what it publishes and nothing else.

    varl train_real backend:=mujoco run_dir:=runs/watched
    python docs/pictures/draw.py runs/watched     # with the same ROS_DOMAIN_ID

Stops the arm once, to show what that looks like, and rearms it.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from pathlib import Path
from textwrap import fill
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import rclpy
from diagnostic_msgs.msg import DiagnosticArray
from matplotlib.patches import Rectangle
from rclpy.qos import qos_profile_sensor_data
from sensor_msgs.msg import CameraInfo, Image
from std_srvs.srv import Trigger
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from varl_common.poses import pose_to_matrix
from visualization_msgs.msg import Marker, MarkerArray

from varl_interfaces.msg import Entities

HERE = Path(__file__).parent
CAMERA = "camera/camera/color"
# A panel: title and the markers that it shows.
PANELS = (
    ("the camera's picture", ()),
    ("workspace box, goal", ("workspace", "goal")),
    ("asked for, after the safety filter", ("asked action", "executed action")),
    ("the tool's way", ("tool path",)),
    ("advice, and what was done there", ("advised", "executed then")),
)
DRAWN = {"image_raw", "camera_info", "entities"}  # of what is heard beside the markers
CURVES = (
    ("rollout/success_rate", "eval/success_rate"),
    ("guidance/gate_open",),
    ("guidance/bc_loss",),
    ("train/entropy",),
    ("guidance/advantage", "train/soft_q"),
    ("train/critic_loss", "train/actor_loss"),
)
WIDTH = 7.4  # inches: two columns, so that a page shows the words at their size
DPI = 150
LINE = 42  # characters that a panel is wide


class Listener:
    """The newest message of each kind."""

    def __init__(self) -> None:
        self.node = rclpy.create_node("pictures")
        self.heard: dict[str, Any] = {}
        self.health: dict[str, Any] = {}
        for name, kind in (("image_raw", Image), ("camera_info", CameraInfo)):
            self.node.create_subscription(kind, f"{CAMERA}/{name}", self._keep(name), qos_profile_sensor_data)
        self.node.create_subscription(Entities, "entities", self._keep("entities"), qos_profile_sensor_data)
        self.node.create_subscription(MarkerArray, "markers", self._keep("markers"), 10)
        self.node.create_subscription(DiagnosticArray, "/diagnostics", self._on_diagnostics, 10)

    def _keep(self, name: str) -> Callable[[Any], None]:
        return lambda message: self.heard.update({name: message})

    def _on_diagnostics(self, message: DiagnosticArray) -> None:
        self.health.update({status.name: status for status in message.status})

    def spin(self, seconds: float, until: Callable[[], bool] = lambda: False) -> None:
        end = time.monotonic() + seconds
        while time.monotonic() < end and not until():
            rclpy.spin_once(self.node, timeout_sec=0.05)

    def markers(self) -> dict[str, list[Marker]]:
        """Those of the newest message by namespace."""
        found: dict[str, list[Marker]] = {}
        for marker in self.heard["markers"].markers if "markers" in self.heard else ():
            found.setdefault(marker.ns, []).append(marker)
        return found

    def call(self, service: str) -> None:
        client = self.node.create_client(Trigger, service)
        client.wait_for_service(5.0)
        self.spin(5.0, client.call_async(Trigger.Request()).done)


def panel(axes: Any, listener: Listener, title: str, shown: tuple[str, ...]) -> None:
    """The camera's picture with these markers, as they are in space."""
    message, info = listener.heard["image_raw"], listener.heard["camera_info"]
    axes.imshow(np.frombuffer(message.data, np.uint8).reshape(message.height, message.width, 3))
    axes.set_title(title, fontsize=10)
    axes.set_axis_off()
    axes.set_xlim(0, message.width)
    axes.set_ylim(message.height, 0)
    project = projection(listener.heard["entities"], info)
    for marker in (m for name in shown for m in listener.markers().get(name, [])):
        color = (marker.color.r, marker.color.g, marker.color.b)
        points = project([(p.x, p.y, p.z) for p in marker.points or [marker.pose.position]])
        if marker.type == Marker.ARROW:
            style = {"arrowstyle": "-|>", "color": color, "lw": 1.5, "mutation_scale": 10}
            axes.annotate("", points[1], points[0], arrowprops=style)
        elif marker.type == Marker.SPHERE:
            axes.plot(*points[0], "o", color=color, markersize=9, markeredgecolor="white")
        elif marker.type == Marker.LINE_LIST:
            for edge in points.reshape(-1, 2, 2):
                axes.plot(*edge.T, color=color, lw=1)
        elif marker.type == Marker.LINE_STRIP:
            axes.plot(*points.T, color="black", lw=2.5)
            axes.plot(*points.T, color=color, lw=1.2)


def words(axes: Any, marker: Marker) -> None:
    """The state in words; RViz writes them beside the workspace."""
    axes.set_title("the safety's state and the success rate", fontsize=10)
    axes.set_axis_off()
    axes.add_patch(Rectangle((0, 0.25), 1, 0.5, color="#30343c"))
    color = (marker.color.r, marker.color.g, marker.color.b)
    text = "\n".join(fill(line, LINE) for line in marker.text.splitlines())
    axes.text(0.04, 0.5, text, color=color, va="center", fontsize=10)


def projection(entities: Entities, info: CameraInfo) -> Callable[[Any], np.ndarray]:
    """From points (n, 3) m in the base frame to pixels (n, 2)."""
    pose = entities.poses[entities.names.index("camera")]
    position, turn = pose.position, pose.orientation
    optical = pose_to_matrix(np.array([position.x, position.y, position.z, turn.x, turn.y, turn.z, turn.w]))
    k = np.array(info.k).reshape(3, 3)

    def project(points: Any) -> np.ndarray:
        seen = (
            (np.array([(p.x, p.y, p.z) if hasattr(p, "x") else p for p in points]) - optical[:3, 3])
            @ optical[:3, :3]
            @ k.T
        )
        return seen[:, :2] / seen[:, 2:]

    return project


def curves(run: Path) -> None:
    """What TensorBoard shows of the run so far."""
    events = EventAccumulator(str(run / "tensorboard"), size_guidance={"scalars": 0})
    events.Reload()
    figure, grid = plt.subplots(3, 2, figsize=(WIDTH, 7), layout="constrained")
    for axes, names in zip(grid.flat, CURVES, strict=True):
        for name in (name for name in names if name in events.Tags()["scalars"]):
            scalars = events.Scalars(name)
            axes.plot([s.step for s in scalars], [s.value for s in scalars], ".-", label=name, lw=1, markersize=3)
        axes.legend()
        axes.set_xlabel("environment step")
    figure.savefig(HERE / "tensorboard.png", dpi=DPI)


def main() -> None:
    run = Path(sys.argv[1])
    rclpy.init()
    listener = Listener()
    wanted = {name for _, names in PANELS for name in names}
    listener.spin(300.0, lambda: wanted <= set(listener.markers()) and set(listener.heard) >= DRAWN)
    figure, grid = plt.subplots(4, 2, figsize=(WIDTH, 11.5))
    figure.subplots_adjust(0.01, 0.0, 0.99, 0.97, wspace=0.03, hspace=0.12)
    for axes, (title, shown) in zip(grid.flat, PANELS, strict=False):
        panel(axes, listener, title, shown)
    words(grid.flat[5], listener.markers()["status"][0])
    listener.call("env/stop")
    listener.spin(2.0)
    words(grid.flat[6], listener.markers()["status"][0])
    grid.flat[6].set_title("the same, stopped", fontsize=10)
    grid.flat[7].set_axis_off()
    listener.call("env/rearm")
    figure.savefig(HERE / "watching.png", dpi=DPI)
    listener.spin(3.0)
    for name, status in sorted(listener.health.items()):
        print(f"{('OK', 'WARN', 'ERROR')[status.level[0]]:5} {name}: {status.message}")
        print(*(f"        {value.key}: {value.value}" for value in status.values), sep="\n")
    curves(run)


if __name__ == "__main__":
    main()

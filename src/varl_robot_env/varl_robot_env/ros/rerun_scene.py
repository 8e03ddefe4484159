"""A run in Rerun (https://rerun.io): the same picture as RViz's, the moving arm, cameras, and curves over time."""

from __future__ import annotations

import contextlib
import socket
import tempfile
from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import quote
from xml.etree import ElementTree

import numpy as np
from numpy.typing import NDArray
from varl_common.errors import VarlError
from visualization_msgs.msg import Marker, MarkerArray

from varl_interfaces.msg import EnvStatus, TrainingStatus
from varl_robot_env.config.robot import RobotConfig
from varl_robot_env.kinematics.urdf import parse_urdf

# Curves that are shown, each group on axes of its own.
_CURVES = {
    "success": ("success_rate", "eval_success_rate"),
    "return": ("episode_return",),
    "guidance and exploration": ("gate_open", "alpha"),
    "entropy": ("entropy",),
    "updates a second": ("updates_per_second",),
    "time to an action": ("action_latency_p99",),
}
_PAGE, _DATA = (
    9090,
    9876,
)  # ports of the page in a browser and of what it shows; those after them, where these are taken
_TRIED = 50


def free_port(first: int) -> int:
    """The first port from ``first`` on that nobody listens on. Raises VarlError: all that were tried are taken."""
    for port in range(first, first + _TRIED):
        with socket.socket() as tried, contextlib.suppress(OSError):
            tried.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            tried.bind(("", port))
            return port
    raise VarlError(f"ports {first} to {first + _TRIED - 1} are taken; end what has them, or take viewer:=rerun-file")


class RerunScene:
    """Logs what the viewer node hears. ``sink``: ``window``, ``web`` (served to a browser) or an .rrd file to write."""

    def __init__(self, robot: RobotConfig, sink: str) -> None:
        """Raises VarlError: rerun-sdk is missing, or the file cannot be written."""
        self._rr = rr = _rerun()
        self._robot = robot
        self._stream = rr.RecordingStream(f"varl_{robot.name}")
        self.address = ""
        if sink == "window":
            self._stream.spawn()
        elif sink == "web":
            served, page = self._stream.serve_grpc(grpc_port=free_port(_DATA)), free_port(_PAGE)
            rr.serve_web_viewer(web_port=page, open_browser=False, connect_to=served)
            self.address = f"http://localhost:{page}?url={quote(served, safe='')}"
        else:
            Path(sink).parent.mkdir(parents=True, exist_ok=True)
            self._stream.save(sink)
        self._stream.send_blueprint(_layout(rr, robot))
        self._joints: dict[str, Any] = {}
        self._kinds: set[str] = set()

    def add_arm(self) -> None:
        """The arm's model. Raises VarlError: Rerun cannot read its URDF."""
        with tempfile.NamedTemporaryFile("w", suffix=".urdf", encoding="utf-8") as file:
            file.write(_seen(self._robot.urdf_text()))
            file.flush()
            try:
                tree = self._rr.urdf.UrdfTree.from_file_path(file.name, entity_path_prefix="arm")
                tree.log_urdf_to_recording(self._stream)
            except (OSError, RuntimeError, ValueError) as error:
                raise VarlError(
                    f"Rerun cannot show the URDF of {self._robot.name}: {error}; it goes on without"
                ) from None
        self._joints = {joint.name: joint for joint in tree.joints() if joint.joint_type != "fixed"}

    def joints(self, seconds: float, positions: Mapping[str, float]) -> None:
        """Where the joints are, rad or m by name, at a time, s."""
        self._stream.set_time("time", duration=seconds)
        for name, position in positions.items():
            if name in self._joints and np.isfinite(position):
                self._stream.log(f"joints/{name}", self._joints[name].compute_transform(position, clamp=False))

    def markers(self, seconds: float, array: MarkerArray) -> None:
        """What RViz is shown, each kind an entity of its own."""
        rr = self._rr
        self._stream.set_time("time", duration=seconds)
        kinds: dict[str, list[Marker]] = defaultdict(list)
        for marker in array.markers:
            kinds[marker.ns].append(marker)
        for kind, markers in kinds.items():
            self._kinds.add(kind)
            self._stream.log(_path(kind), *_shapes(rr, markers), rr.CoordinateFrame(self._robot.base_frame))
        for gone in self._kinds - set(kinds):
            self._stream.log(_path(gone), rr.Clear(recursive=False))
        self._kinds = set(kinds)

    def status(self, seconds: float, env: EnvStatus) -> None:
        """What the safety filter did, and whether it stopped the arm."""
        rr = self._rr
        self._stream.set_time("time", duration=seconds)
        self._stream.log("safety/stopped", rr.Scalars(float(env.stopped)))
        for name, count in zip(env.counted, env.counts, strict=False):
            self._stream.log(f"safety/{_name(name)}", rr.Scalars(float(count)))
        if env.stopped:
            self._stream.log("safety/log", rr.TextLog(env.reason, level="ERROR"))

    def curves(self, seconds: float, training: TrainingStatus) -> None:
        """How learning goes."""
        self._stream.set_time("time", duration=seconds)
        self._stream.set_time("step", sequence=int(training.step))
        for name in (name for group in _CURVES.values() for name in group):
            self._stream.log(f"curves/{name}", self._rr.Scalars(float(getattr(training, name))))

    def picture(self, seconds: float, camera: str, pixels: NDArray[np.uint8]) -> None:
        """A camera's picture, (height, width, 3) RGB."""
        self._stream.set_time("time", duration=seconds)
        self._stream.log(f"cameras/{_name(camera)}", self._rr.Image(pixels).compress(jpeg_quality=80))

    def close(self) -> None:
        """Write what is left."""
        self._stream.flush()
        self._stream.disconnect()


def _seen(urdf: str) -> str:
    """The URDF without the hulls that only a planner wants."""
    root = parse_urdf(urdf)
    for link in root.findall("link"):
        for hull in link.findall("collision"):
            link.remove(hull)
    return ElementTree.tostring(root, encoding="unicode")


def _layout(rr: Any, robot: RobotConfig) -> Any:
    """The views: the arm among its markers, what its cameras see, and curves.

    The arm's view has the base frame for its origin, and nothing without a place in that, such as the pictures. Left to
    itself Rerun draws by a frame of its own choice, to which the arm's may have no way.
    """
    blueprint = rr.blueprint
    arm = blueprint.Spatial3DView(
        name="arm",
        contents=["/arm/**", "/world/**"],
        spatial_information=blueprint.SpatialInformation(target_frame=robot.base_frame),
        defaults=[shape.from_fields(fill_mode="solid") for shape in (rr.Boxes3D, rr.Cylinders3D, rr.Ellipsoids3D)],
    )
    shown = [_name(camera.name) for camera in robot.cameras if camera.shown]
    cameras = [blueprint.Spatial2DView(name=name, origin=f"/cameras/{name}") for name in shown]
    curves = [
        blueprint.TimeSeriesView(name=name, contents=[f"/curves/{curve}" for curve in group])
        for name, group in _CURVES.items()
    ]
    safety = [
        blueprint.TimeSeriesView(name="what the safety filter did", contents=["/safety/**", "- /safety/log"]),
        blueprint.TextLogView(name="stops", origin="/safety/log"),
    ]
    left = blueprint.Vertical(arm, blueprint.Horizontal(*cameras, *safety[1:]), row_shares=[2, 1])
    right = blueprint.Grid(*curves, *safety[:1], grid_columns=2)
    return blueprint.Blueprint(blueprint.Horizontal(left, right), collapse_panels=True)


def _shapes(rr: Any, markers: Sequence[Marker]) -> list[Any]:
    """The archetypes of markers of one kind."""
    first = markers[0]
    color = [round(255 * part) for part in (first.color.r, first.color.g, first.color.b, first.color.a)]
    points = [np.array([[p.x, p.y, p.z] for p in marker.points]).reshape(-1, 3) for marker in markers]
    if first.type == Marker.ARROW:
        origins = np.stack([one[0] for one in points])
        vectors = np.stack([one[1] - one[0] for one in points])
        return [rr.Arrows3D(origins=origins, vectors=vectors, colors=color, radii=first.scale.x / 2)]
    if first.type == Marker.LINE_LIST:
        return [rr.LineStrips3D(points[0].reshape(-1, 2, 3), colors=color, radii=first.scale.x / 2)]
    if first.type == Marker.LINE_STRIP:
        return [rr.LineStrips3D([points[0]], colors=color, radii=first.scale.x / 2)]
    place = first.pose.position
    if first.type == Marker.TEXT_VIEW_FACING:
        return [rr.Points3D([[place.x, place.y, place.z]], labels=[first.text], colors=color, radii=0.004)]
    return [rr.Points3D([[place.x, place.y, place.z]], colors=color, radii=first.scale.x / 2)]


def _path(kind: str) -> str:
    return f"world/{_name(kind)}"


def _name(text: str) -> str:
    return text.replace(" ", "_").replace("/", "_")


def _rerun() -> Any:
    try:
        import rerun
        import rerun.blueprint
        import rerun.urdf
    except ImportError as error:
        raise VarlError(f"viewer:=rerun needs {error.name}: pip install rerun-sdk") from None
    return rerun

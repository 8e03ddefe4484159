"""A URDF as MuJoCo can read it: meshes found or replaced, its base where the base frame is, nothing left loose."""

from __future__ import annotations

import logging
import xml.etree.ElementTree as ElementTree
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation
from varl_common.errors import VarlError, did_you_mean

from varl_robot_env.config.paths import resolve
from varl_robot_env.config.robot import RobotConfig
from varl_robot_env.kinematics.urdf import FREE, link_of, parse_urdf, way_to_root
from varl_robot_env.types import Array

log = logging.getLogger(__name__)

_GROUND = "world"  # MuJoCo takes a link of this name for the ground, wherever it stands
_RENAMED = "world link"
_READ = (".stl", ".obj", ".msh")  # of meshes
_BONE = 0.03  # m: radius of what stands for a link whose shape cannot be read
_SHORTEST_BONE = 0.02  # m
_LIGHTEST, _LEAST_INERTIA = "1e-3", "1e-6"  # kg, kg m^2: MuJoCo wants some of every moving body
_AT_ORIGIN = 1e-9  # m and rad


@dataclass(frozen=True)
class RobotModel:
    """What MuJoCo is given.

    Attributes:
        xml: URDF.
        assets: its meshes by the names in it.
        ties: follower, leader, multiplier and offset of each joint that mimics another.
    """

    xml: str
    assets: dict[str, bytes]
    ties: list[tuple[str, str, float, float]]

    @staticmethod
    def body(link: str) -> str:
        """The name of a link's body."""
        return _RENAMED if link == _GROUND else link


def robot_model(robot: RobotConfig) -> RobotModel:
    """The model of ``robot``, whose base frame is the world's origin.

    Raises:
        VarlError: the URDF is wrong, or a joint that the arm does not hang on is loose.
    """
    try:
        root = parse_urdf(robot.urdf_text())
        links = [link.get("name", "") for link in root.findall("link")]
        for frame in (robot.base_frame, robot.tool_frame):
            if frame not in links:
                raise VarlError(f"the URDF has no frame {frame!r}; {did_you_mean(frame, links)}")
        _fix_base(root, robot.base_frame)
    except VarlError as error:
        raise VarlError(f"{robot.source}: {error}") from None
    assets = _read_meshes(root, robot)
    _name_shapes(root)
    _show_what_collides(root)
    _compiler(root)
    return RobotModel(ElementTree.tostring(root, encoding="unicode"), assets, list(_ties(root)))


def _fix_base(root: ElementTree.Element, base: str) -> None:
    """Let ``base`` be at the origin, fixed, and no link be called as MuJoCo calls the ground."""
    above = way_to_root(root, base)
    for joint in root.findall("joint"):
        if joint.get("type") not in FREE:
            continue
        if joint not in above:
            raise VarlError(
                f"joint {joint.get('name')!r} is {joint.get('type')}, which nothing holds in the simulator; fix it in "
                "the URDF"
            )
        log.warning("joint %r holds the arm's base by nothing: it is simulated as fixed", joint.get("name"))
        joint.set("type", "fixed")
    pose = np.eye(4)
    for joint in above:  # from the base up: each joint's frame in that above it
        pose = _origin(joint) @ pose
    grounded = [link for link in root.findall("link") if link.get("name") == _GROUND]
    at_origin = np.abs(pose - np.eye(4)).max() < _AT_ORIGIN
    if at_origin and (not grounded or not way_to_root(root, _GROUND)):
        return
    for link in grounded:
        link.set("name", _RENAMED)
        for joint in root.findall("joint"):
            for end in ("parent", "child"):
                part = joint.find(end)
                if part is not None and part.get("link") == _GROUND:
                    part.set("link", _RENAMED)
    top = above[-1] if above else None
    first = RobotModel.body(link_of(top, "parent") if top is not None else base)
    inverse = np.linalg.inv(pose)
    ElementTree.SubElement(root, "link", name="ground below the robot")
    joint = ElementTree.SubElement(root, "joint", name="robot on the ground", type="fixed")
    ElementTree.SubElement(joint, "parent", link="ground below the robot")
    ElementTree.SubElement(joint, "child", link=first)
    angles = Rotation.from_matrix(inverse[:3, :3]).as_euler("xyz")
    ElementTree.SubElement(joint, "origin", xyz=_words(inverse[:3, 3]), rpy=_words(angles))


def _read_meshes(root: ElementTree.Element, robot: RobotConfig) -> dict[str, bytes]:
    """The meshes of the URDF by new names; those that MuJoCo cannot read are taken out, or a bone stands for them."""
    assets: dict[str, bytes] = {}
    names: dict[Path, str] = {}
    replaced: list[str] = []
    for link in root.findall("link"):
        for kind in ("visual", "collision"):
            for shape in link.findall(kind):
                mesh = shape.find("geometry/mesh")
                if mesh is None:
                    continue
                file = _mesh_file(mesh.get("filename", ""), robot)
                if file is None:
                    link.remove(shape)
                    replaced.append(f"{link.get('name')} ({mesh.get('filename', '').rpartition('/')[2]})")
                    continue
                if file not in names:
                    names[file] = f"mesh_{len(names)}{file.suffix.lower()}"
                    assets[names[file]] = file.read_bytes()
                mesh.set("filename", names[file])
        lost = any(name.startswith(f"{link.get('name')} (") for name in replaced)
        if lost and link.find("visual") is None and link.find("collision") is None:
            link.extend(_bones(root, link))
    if replaced:
        log.warning(
            "MuJoCo cannot read or find the meshes of %s: what else the description has of these links, or a rod, "
            "stands for them",
            ", ".join(replaced),
        )
    return assets


def _mesh_file(name: str, robot: RobotConfig) -> Path | None:
    """The mesh's file; None where there is none that MuJoCo can read."""
    beside = robot.urdf_file or robot.source
    try:
        file = Path(name.removeprefix("file://")) if name.startswith(("file://", "/")) else resolve(name, beside)
    except VarlError:
        return None
    if file.suffix.lower() not in _READ or not file.is_file():
        return None
    with file.open("rb") as opened:
        words = opened.read(512)
    text = file.suffix.lower() == ".stl" and words.lstrip().startswith(b"solid") and b"facet" in words
    return None if text or words.startswith(b"version https://git-lfs") else file


def _bones(root: ElementTree.Element, link: ElementTree.Element) -> Iterator[ElementTree.Element]:
    """Rods from a link's origin to each joint that it carries."""
    for joint in root.findall("joint"):
        if link_of(joint, "parent") != link.get("name"):
            continue
        way = _origin(joint)[:3, 3]
        length = float(np.linalg.norm(way))
        if length < _SHORTEST_BONE:
            continue
        turn = np.array([0.0, np.arctan2(np.hypot(way[0], way[1]), way[2]), np.arctan2(way[1], way[0])])
        shape = ElementTree.Element("collision")
        ElementTree.SubElement(shape, "origin", xyz=_words(way / 2), rpy=_words(turn))
        geometry = ElementTree.SubElement(shape, "geometry")
        ElementTree.SubElement(geometry, "cylinder", radius=f"{_BONE:g}", length=f"{length:.6g}")
        yield shape


def _name_shapes(root: ElementTree.Element) -> None:
    """MuJoCo complains of shapes without a name."""
    for number, shape in enumerate(shape for kind in ("visual", "collision") for shape in root.findall(f"link/{kind}")):
        if not shape.get("name"):
            shape.set("name", f"shape {number}")


def _show_what_collides(root: ElementTree.Element) -> None:
    """A link without anything to see is seen as what it touches with."""
    for link in root.findall("link"):
        if link.find("visual") is not None:
            continue
        for shape in link.findall("collision"):
            seen = ElementTree.fromstring(ElementTree.tostring(shape))
            seen.tag = "visual"
            seen.set("name", f"{shape.get('name')} seen")
            link.append(seen)


def _compiler(root: ElementTree.Element) -> None:
    """Settings for MuJoCo's compiler, where the URDF has none of its own."""
    if root.find("mujoco/compiler") is not None:
        return
    compiler = ElementTree.SubElement(ElementTree.SubElement(root, "mujoco"), "compiler")
    for name, value in (
        ("fusestatic", "false"),
        ("discardvisual", "false"),
        ("balanceinertia", "true"),
        ("boundmass", _LIGHTEST),
        ("boundinertia", _LEAST_INERTIA),
    ):
        compiler.set(name, value)


def _ties(root: ElementTree.Element) -> Iterator[tuple[str, str, float, float]]:
    for joint in root.findall("joint"):
        mimic = joint.find("mimic")
        if mimic is not None:
            multiplier, offset = (float(mimic.get(name, usual)) for name, usual in (("multiplier", 1), ("offset", 0)))
            yield joint.get("name", ""), mimic.get("joint", ""), multiplier, offset


def _origin(joint: ElementTree.Element) -> Array:
    """(4, 4): the frame of a joint in that of the link that carries it, at 0."""
    origin = joint.find("origin")
    pose = np.eye(4)
    if origin is not None:
        place, angles = (np.array(origin.get(name, "0 0 0").split(), dtype=float) for name in ("xyz", "rpy"))
        pose[:3, 3], pose[:3, :3] = place, Rotation.from_euler("xyz", angles).as_matrix()
    return pose


def _words(values: NDArray[Any]) -> str:
    return " ".join(f"{value:.9g}" for value in values)

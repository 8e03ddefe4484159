"""Forward and inverse kinematics of an arm, from its URDF alone, on MuJoCo's Jacobian."""

from __future__ import annotations

import xml.etree.ElementTree as ElementTree
from collections.abc import Sequence

import numpy as np
from varl_common.errors import VarlError, did_you_mean

from varl_robot_env.headless_mujoco import mujoco
from varl_robot_env.kinematics.urdf import FREE, joints_between, link_of, parse_urdf
from varl_robot_env.types import Array

# Damping of the least squares, m and rad per rad: far below the singular values of the Jacobian in a workspace (0.1 and
# more), so that it costs accuracy only near a singularity, where it bounds the joint speeds.
_DAMPING = 0.02
# An arm with more than six joints is drawn towards its rest posture by this share of the way an iteration.
_REST_GAIN = 0.1
_ITERATIONS = 20
# Before the name of every link: MuJoCo takes a link called "world" for the ground, wherever it stands.
_LINK = "link "
_TOLERANCE = 1e-6  # m and rad: a hundredth of what an arm repeats


class Kinematics:
    """The chain from a base frame to a tool frame.

    Only the joints and frames of the URDF count; meshes, masses and other joints (a gripper's) may be missing or odd.

    Attributes:
        limits: (n, 2) lower and upper joint limits, rad.
        speeds: (n,) greatest joint speeds, rad/s.
    """

    def __init__(self, urdf: str, joints: Sequence[str], base_frame: str, tool_frame: str) -> None:
        """Read the chain.

        Raises:
            VarlError: the URDF is malformed, has no such joint or frame, or has a floating joint between them.
        """
        root = parse_urdf(urdf)
        names = [joint.get("name", "") for joint in root.findall("joint") if joint.get("type") != "fixed"]
        links = [link.get("name", "") for link in root.findall("link")]
        for name, known in [*((joint, names) for joint in joints), (base_frame, links), (tool_frame, links)]:
            if name not in known:
                kind = "joint" if known is names else "frame"
                raise VarlError(f"the URDF has no {kind} {name!r}; {did_you_mean(name, known)}")
        for joint in joints_between(root, base_frame, tool_frame):
            if joint.get("type") in FREE:
                raise VarlError(
                    f"joint {joint.get('name')!r} between {base_frame} and {tool_frame} is {joint.get('type')}; "
                    "expected revolute, continuous or prismatic: name a base_frame beyond it, or fix it in the URDF"
                )
        self.limits, self.speeds = _limits(root, joints)
        self._model = mujoco.MjModel.from_xml_string(_skeleton(root))
        self._data = mujoco.MjData(self._model)
        self._qpos = np.array([self._model.joint(name).qposadr[0] for name in joints])
        self._dofs = np.array([self._model.joint(name).dofadr[0] for name in joints])
        self._base = self._model.body(_LINK + base_frame).id
        self._tool = self._model.body(_LINK + tool_frame).id
        self._jacobian = np.zeros((6, self._model.nv))

    def forward(self, joints: Array) -> tuple[Array, Array]:
        """Position (3,) m and rotation (3, 3) of the tool in the base frame at ``joints`` (n,) rad."""
        self._place(joints)
        data, turn = self._data, self._data.xmat[self._base].reshape(3, 3).T
        position = turn @ (data.xpos[self._tool] - data.xpos[self._base])
        return position, turn @ data.xmat[self._tool].reshape(3, 3)

    def turning(self, joints: Array, velocity: Array) -> tuple[Array, Array, float]:
        """Position (3,) m, rotation (3, 3) and angular speed (rad/s) of the tool at ``joints`` (n,) rad that move at
        ``velocity`` (n,) rad/s."""
        position, rotation = self.forward(joints)
        return position, rotation, float(np.linalg.norm(self._jacobian_here()[3:] @ velocity))

    def jacobian(self, joints: Array) -> Array:
        """(6, n): the tool's linear (m/s) and angular (rad/s) velocity in the base frame per joint speed (rad/s)."""
        self._place(joints)
        return self._jacobian_here()

    def inverse(self, position: Array, rotation: Array, start: Array, rest: Array) -> tuple[Array, float]:
        """Joints that bring the tool to ``position`` (3,) m and ``rotation`` (3, 3), searched from ``start`` (n,) rad.

        Damped least squares, ``dq = J^T (J J^T + d^2 I)^-1 e`` (Wampler 1986), iterated; where the arm has more
        than six joints the null space is drawn to ``rest``.

        Returns:
            the joints (n,) rad, and how far the tool is from ``position`` there, m.
        """
        joints = np.array(start, dtype=np.float64)
        error = np.empty(6)
        for _ in range(_ITERATIONS):
            here, turn = self.forward(joints)
            error[:3] = position - here
            error[3:] = _rotation_vector(rotation @ turn.T)
            if np.abs(error).max() < _TOLERANCE:
                break
            jacobian = self._jacobian_here()
            drift = _REST_GAIN * (rest - joints) if len(joints) > 6 else np.zeros(len(joints))
            square = jacobian @ jacobian.T + _DAMPING**2 * np.eye(6)
            joints = joints + drift + jacobian.T @ np.linalg.solve(square, error - jacobian @ drift)
        here, _ = self.forward(joints)
        return joints, float(np.linalg.norm(position - here))

    def _place(self, joints: Array) -> None:
        self._data.qpos[self._qpos] = joints
        mujoco.mj_kinematics(self._model, self._data)
        mujoco.mj_comPos(self._model, self._data)

    def _jacobian_here(self) -> Array:
        both = self._jacobian
        mujoco.mj_jacBody(self._model, self._data, both[:3], both[3:], self._tool)
        turn = self._data.xmat[self._base].reshape(3, 3).T
        columns = both[:, self._dofs]
        return np.vstack([turn @ columns[:3], turn @ columns[3:]])


def _skeleton(root: ElementTree.Element) -> str:
    """The URDF with nothing but links and joints, each link of a unit mass, which only MuJoCo asks for."""
    skeleton = ElementTree.Element("robot", name=root.get("name", "robot"))
    compiler = ElementTree.SubElement(ElementTree.SubElement(skeleton, "mujoco"), "compiler")
    compiler.set("fusestatic", "false")
    for link in root.findall("link"):
        bare = ElementTree.SubElement(skeleton, "link", name=_LINK + link.get("name", ""))
        inertial = ElementTree.SubElement(bare, "inertial")
        ElementTree.SubElement(inertial, "mass", value="1")
        ElementTree.SubElement(inertial, "inertia", ixx="1", iyy="1", izz="1", ixy="0", ixz="0", iyz="0")
    for joint in root.findall("joint"):
        kind = "fixed" if joint.get("type") in FREE else joint.get("type", "")  # one that the arm does not hang on
        bare = ElementTree.SubElement(skeleton, "joint", name=joint.get("name", ""), type=kind)
        for end in ("parent", "child"):
            ElementTree.SubElement(bare, end, link=_LINK + link_of(joint, end))
        bare.extend(part for tag in ("origin", "axis", "limit") for part in joint.findall(tag))
    return ElementTree.tostring(skeleton, encoding="unicode")


def _limits(root: ElementTree.Element, joints: Sequence[str]) -> tuple[Array, Array]:
    by_name = {joint.get("name"): joint for joint in root.findall("joint")}
    limits, speeds = np.empty((len(joints), 2)), np.empty(len(joints))
    for row, name in enumerate(joints):
        limit = by_name[name].find("limit")
        values = {} if limit is None else limit.attrib
        turns = by_name[name].get("type") == "continuous"
        limits[row] = (-np.inf, np.inf) if turns else (float(values.get("lower", 0)), float(values.get("upper", 0)))
        speeds[row] = float(values.get("velocity", np.inf))
    return limits, speeds


def _rotation_vector(rotation: Array) -> Array:
    """Axis times angle (3,) rad of a rotation matrix (3, 3)."""
    quaternion, vector = np.empty(4), np.empty(3)
    mujoco.mju_mat2Quat(quaternion, rotation.flatten())
    mujoco.mju_quat2Vel(vector, quaternion, 1.0)
    return vector

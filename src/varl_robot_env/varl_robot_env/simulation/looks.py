"""Looks of the simulated world: camera, light, colours, textures and things that do not matter, drawn by chance.

A model that learns from rendered pictures learns what all of them share. So nothing is shared but what names the
things: their colours and shapes. What is *held out* has patterns and shapes that no look for
training has, so that a model can be judged on scenes unlike those that it was taught on.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from varl_robot_env.headless_mujoco import mujoco
from varl_robot_env.types import Array

Pattern = Callable[[np.random.Generator], NDArray[np.uint8]]

CLUTTER = 6
"""Most things on the table that have no part in a task. They are drawn and touch nothing."""
_SURFACES = 24
"""Textures that a world is built with; a look chooses among them."""
_SIDE = 64  # pixels of a texture
_TABLE_X, _TABLE_Y = (0.05, 0.68), (-0.5, 0.5)  # m: where clutter stands
_ROOM = 0.07  # m: clutter keeps this distance from block and target, so that it does not stand inside of them
_AS_CONFIGURED = 0.3
"""Share of looks with the camera where the configuration has it: it is where most pictures will come from."""


@dataclass(frozen=True)
class Looks:
    """How far looks go from the configured one."""

    held_out: bool = False
    """Patterns and shapes that are kept for judging, in place of those for training."""
    camera_move: float = 0.14
    """m: the camera is moved by up to this, in any direction."""
    camera_turn: float = 12.0
    """degrees: and turned by up to this, about any axis."""
    exact: bool = False
    """Move and turn the camera by exactly so much."""
    seed: int = 0
    """Of the textures."""

    def prepare(self, spec: Any) -> None:
        """Add the textures and the clutter of :func:`restyle` to a world (``mujoco.MjSpec``) before it is compiled."""
        _add_textures(spec, self.seed, _HELD_OUT_PATTERNS if self.held_out else _PATTERNS)
        for number in range(CLUTTER):
            spec.worldbody.add_geom(
                name=f"clutter{number}",
                type=mujoco.mjtGeom.mjGEOM_SPHERE,
                size=[0.01, 0.01, 0.01],
                pos=[1, 1, -1],  # not its body's place: MuJoCo would take it for that for good (geom_sameframe)
                rgba=[0, 0, 0, 0],
                contype=0,
                conaffinity=0,
            )


def _add_textures(spec: Any, seed: int, patterns: tuple[Pattern, ...]) -> None:
    rng = np.random.default_rng(seed)
    for number in range(_SURFACES):
        image = patterns[number % len(patterns)](rng)
        texture = spec.add_texture(
            name=f"surface{number}", type=mujoco.mjtTexture.mjTEXTURE_2D, width=_SIDE, height=_SIDE, nchannel=3
        )
        texture.data = image.tobytes()
        repeat = rng.uniform(1.0, 5.0)
        material = spec.add_material(name=f"surface{number}", texrepeat=[repeat, repeat])
        material.textures[mujoco.mjtTextureRole.mjTEXROLE_RGB] = f"surface{number}"


def restyle(model: Any, usual: Any, rng: np.random.Generator, looks: Looks, things: Mapping[str, Array]) -> None:
    """Give a world made with :meth:`Looks.prepare` another look.

    Args:
        model: ``mujoco.MjModel``, changed in place.
        usual: a copy of it as it was compiled.
        rng: decides.
        looks: how far to go.
        things: the task's, and where they are, (3,) m each: they keep their colours, and clutter its distance.
    """
    _camera(model, usual, rng, looks)
    _light(model, usual, rng)
    own = {model.geom(name).id for name in things}
    for geom in range(model.ngeom):
        if geom in own:
            model.geom_rgba[geom, :3] = _near(usual.geom_rgba[geom, :3], rng)
        elif model.geom(geom).name.startswith("clutter"):
            model.geom_rgba[geom] = usual.geom_rgba[geom]
            _clutter(model, geom, rng, looks.held_out, list(things.values()))
        else:
            _surface(model, usual, geom, rng)


def _camera(model: Any, usual: Any, rng: np.random.Generator, looks: Looks) -> None:
    camera = model.camera("camera").id
    move, turn = looks.camera_move, np.radians(looks.camera_turn)
    if not looks.exact:
        far = 0.0 if rng.random() < _AS_CONFIGURED else 1.0
        move, turn = far * rng.uniform(0, move), far * rng.uniform(0, turn)
    about = np.empty(4)
    mujoco.mju_axisAngle2Quat(about, _direction(rng), turn)
    mujoco.mju_mulQuat(model.cam_quat[camera], usual.cam_quat[camera], about)
    model.cam_pos[camera] = usual.cam_pos[camera] + move * _direction(rng)
    wider = 1.0 if looks.exact else rng.uniform(0.92, 1.12)
    model.cam_fovy[camera] = wider * usual.cam_fovy[camera]


def _light(model: Any, usual: Any, rng: np.random.Generator) -> None:
    tint = rng.uniform(0.85, 1.0, 3)
    for light in range(model.nlight):
        model.light_diffuse[light] = usual.light_diffuse[light] * rng.uniform(0.5, 1.4) * tint
        towards = usual.light_dir[light] + rng.normal(0.0, 0.35, 3)
        model.light_dir[light] = towards / np.linalg.norm(towards)
    model.vis.headlight.ambient[:] = usual.vis.headlight.ambient * rng.uniform(0.7, 1.25)


def _surface(model: Any, usual: Any, geom: int, rng: np.random.Generator) -> None:
    """Table, floor and robot: as they are, of another colour, or (table and floor) patterned."""
    own = usual.geom_rgba[geom]
    model.geom_matid[geom] = -1
    model.geom_rgba[geom] = own
    chance = rng.random()
    fixed = usual.geom_bodyid[geom] == 0
    if fixed and chance < 0.6:
        model.geom_matid[geom] = model.material(f"surface{rng.integers(_SURFACES)}").id
        model.geom_rgba[geom, :3] = rng.uniform(0.7, 1.0)
    elif chance < (0.85 if fixed else 0.5):
        model.geom_rgba[geom, :3] = _neutral(rng) if fixed else np.clip(own[:3] + rng.normal(0, 0.08, 3), 0, 1)


def _clutter(model: Any, geom: int, rng: np.random.Generator, held_out: bool, things: list[Array]) -> None:
    if rng.random() < 0.5:
        return
    kinds = mujoco.mjtGeom
    shapes = (kinds.mjGEOM_ELLIPSOID, kinds.mjGEOM_CAPSULE) if held_out else (kinds.mjGEOM_BOX, kinds.mjGEOM_CYLINDER)
    size = rng.uniform(0.012, 0.04, 3)
    place = np.array([rng.uniform(*_TABLE_X), rng.uniform(*_TABLE_Y), size[2]])
    if any(np.linalg.norm(place[:2] - thing[:2]) < _ROOM for thing in things):
        return
    kind = shapes[rng.integers(len(shapes))]
    model.geom_type[geom], model.geom_size[geom] = kind, size
    model.geom_rbound[geom] = 0.15  # m: more than any of these sizes, by which the renderer leaves out what is far off
    model.geom_pos[geom] = place
    model.geom_rgba[geom] = [*_other_colour(rng), 1.0]


def _direction(rng: np.random.Generator) -> Array:
    along = rng.normal(size=3)
    return np.asarray(along / np.linalg.norm(along))


def _near(colour: Array, rng: np.random.Generator) -> Array:
    return np.asarray(np.clip(colour * rng.uniform(0.8, 1.15) + rng.normal(0, 0.03, 3), 0, 1))


def _neutral(rng: np.random.Generator) -> Array:
    """Wood, stone, cloth: a grey with some colour."""
    return np.asarray(np.clip(rng.uniform(0.15, 0.95) + rng.uniform(-0.15, 0.15, 3), 0, 1))


def _other_colour(rng: np.random.Generator) -> Array:
    """Neither the block's red nor the target's green: yellow, blue, violet, or without colour."""
    if rng.random() < 0.35:
        return _neutral(rng)
    hues = np.array([[0.9, 0.8, 0.2], [0.2, 0.4, 0.85], [0.55, 0.25, 0.75], [0.2, 0.75, 0.85], [0.95, 0.6, 0.75]])
    return _near(hues[rng.integers(len(hues))], rng)


def _mixed(share: Array, rng: np.random.Generator) -> NDArray[np.uint8]:
    """(side, side, 3): two neutral colours, mixed by ``share`` (side, side) in 0..1."""
    one, other = _neutral(rng), _neutral(rng)
    return np.asarray(255 * (one + share[..., None] * (other - one)), np.uint8)


def _grid() -> tuple[Array, Array]:
    x, y = np.meshgrid(np.linspace(0, 1, _SIDE, endpoint=False), np.linspace(0, 1, _SIDE, endpoint=False))
    return x, y


def _checks(rng: np.random.Generator) -> NDArray[np.uint8]:
    x, y = _grid()
    many = rng.integers(2, 9)
    return _mixed(((np.floor(x * many) + np.floor(y * many)) % 2).astype(float), rng)


def _clouds(rng: np.random.Generator) -> NDArray[np.uint8]:
    share = np.zeros((_SIDE, _SIDE))
    for cells in (4, 8, 16):
        share += np.kron(rng.random((cells, cells)), np.ones((_SIDE // cells, _SIDE // cells))) / 3
    return _mixed(share, rng)


def _planks(rng: np.random.Generator) -> NDArray[np.uint8]:
    many = int(rng.integers(2, 7))
    share = np.repeat(rng.random(many), -(-_SIDE // many))[:_SIDE, None] + rng.normal(0, 0.05, (_SIDE, _SIDE))
    return _mixed(np.clip(share, 0, 1), rng)


def _stripes(rng: np.random.Generator) -> NDArray[np.uint8]:
    x, y = _grid()
    along = np.sin(2 * np.pi * (rng.integers(1, 7) * x + rng.integers(1, 7) * y))
    return _mixed((along > rng.uniform(-0.5, 0.5)).astype(float), rng)


def _spots(rng: np.random.Generator) -> NDArray[np.uint8]:
    x, y = _grid()
    many = rng.integers(3, 8)
    away = np.hypot((x * many) % 1 - 0.5, (y * many) % 1 - 0.5)
    return _mixed((away < rng.uniform(0.15, 0.4)).astype(float), rng)


_PATTERNS: tuple[Pattern, ...] = (_checks, _clouds, _planks)
_HELD_OUT_PATTERNS: tuple[Pattern, ...] = (_stripes, _spots)
